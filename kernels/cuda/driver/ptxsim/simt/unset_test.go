package simt

import (
	"errors"
	"strings"
	"testing"
)

func TestReadsOfUnsetRegisters(t *testing.T) {
	for _, c := range []struct {
		body   string
		what   string // "": all is set
		thread int
	}{
		{"add.u32 %r1, %r2, 1;", "register %r2 is", 0},
		{"@%p1 mov.u32 %r1, 5;", "register %p1 is", 0},
		{"@%p1 bra on; on: mov.u32 %r1, 5;", "register %p1 is", 0},
		{"selp.u32 %r1, 1, 2, %p1;", "register %p1 is", 0},
		{"st.global.u32 [%d2], %r0;", "register %d2 is", 0},
		{"st.global.f32 [%d0], %f3;", "register %f3 is", 0},
		{"setp.gt.u32 %p1, %r0, 9; @%p1 mov.u32 %r1, 5; add.u32 %r2, %r1, 1;", "register %r1 is", 0},
		{"setp.lt.u32 %p1, %r0, 9; @%p1 mov.u32 %r1, 5; add.u32 %r2, %r1, 1;", "register %r1 is", 9},
		{"setp.lt.u32 %p1, %r0, 9; @%p1 bra on; mov.u32 %r1, 5; on: add.u32 %r2, %r1, 1;", "register %r1 is", 0},
		{"mov.u32 %r2, 0; head: @%p2 bra done; setp.ge.u32 %p2, %r2, 3; add.u32 %r2, %r2, 1; bra head; done: mov.u32 %r1, 1;", "register %p2 is", 0},
		{"bar.red.popc.u32 %r1, 0, %p1;", "register %p1 is", 0},
		{"mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f1,%f2,%f3,%f4}, {%r0,%r0}, {%r0}, {%f1,%f2,%f3,%f4};", "register %f1 is", 0},
		{"setp.lt.u32 %p1, %r0, 9; @%p1 mov.u32 %r1, 5; @%p1 add.u32 %r2, %r1, 1;", "", 0},
		{"setp.lt.u32 %p1, %r0, 9; @%p1 bra on; mov.u32 %r1, 5; bra.uni meet; on: mov.u32 %r1, 6; meet: add.u32 %r2, %r1, 1;", "", 0},
		{"setp.lt.u32 %p1, %r0, 9; @%p1 mov.u32 %r1, 5; @!%p1 mov.u32 %r1, 6; add.u32 %r2, %r1, 1;", "", 0},
		{"mov.u32 %r2, 0; head: setp.eq.u32 %p2, %r2, 0; @%p2 mov.u32 %r1, 5; add.u32 %r1, %r1, 1; add.u32 %r2, %r2, 1; setp.lt.u32 %p3, %r2, 4; @%p3 bra head;", "", 0},
		{"setp.eq.u32 %p1, %r0, %r0; bar.red.popc.u32 %r1, 0, %p1; add.u32 %r2, %r1, 1;", "", 0},
		{"mov.b64 %d2, {%r0, %r0}; mov.b64 {%r1, %r2}, %d2; add.u32 %r2, %r1, %r2;", "", 0},
	} {
		for seed := range uint64(3) {
			_, err := runWords(t, 32, "", c.body, Options{Seed: seed})
			var fault *Fault
			switch {
			case c.what == "":
				if err != nil {
					t.Errorf("%s: %v", c.body, err)
				}
			case !errors.As(err, &fault) || !strings.HasPrefix(fault.What, c.what+" read before it is written") || fault.Thread[0] != c.thread || fault.Line < 5 || fault.Kernel != "k":
				t.Errorf("%s: got %v", c.body, err)
			}
		}
	}
}

// A block starts with nothing set: what the block before it left in the registers does not count.
func TestBlocksStartWithUnsetRegisters(t *testing.T) {
	k := mustCompile(t, ".entry k() {\n"+registers+"mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0; @%p1 mov.u32 %r2, 1; add.u32 %r3, %r2, 1; }")
	for seed := range uint64(4) {
		_, err := k.Run(NewMemory(1<<40, 1<<20), Launch{Grid: [3]int{2, 1, 1}, Block: [3]int{32, 1, 1}}, Options{Seed: seed, Workers: 1})
		var fault *Fault
		if !errors.As(err, &fault) || fault.Block[0] != 1 {
			t.Errorf("seed %d: got %v", seed, err)
		}
	}
}
