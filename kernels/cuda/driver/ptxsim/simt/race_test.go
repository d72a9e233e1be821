package simt

import (
	"errors"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver"
)

// runBlocks runs a body on four blocks of two threads; %d1 is the address of 16 words, %r1 the block, %r2 the thread, %p1 tells block 0, %p2 thread 0.
func runBlocks(t *testing.T, m *Memory, out uint64, body string, o Options) error {
	t.Helper()
	k := mustCompile(t, ".entry k(.param .u64 out) {\n.shared .align 4 .b8 s[64]; "+registers+`ld.param.u64 %d1, [out]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %tid.x; setp.eq.u32 %p1, %r1, 0; setp.eq.u32 %p2, %r2, 0;
		mul.wide.u32 %d2, %r1, 1; add.u64 %d2, %d2, %d1; mul.wide.u32 %d3, %r1, 4; add.u64 %d3, %d3, %d1; mov.u32 %r3, 7;
`+body+" ret; }")
	_, err := k.Run(m, Launch{Grid: [3]int{2, 2, 1}, Block: [3]int{2, 1, 1}, Params: []uint64{out}}, o)
	return err
}

// The index of a block is its number in the grid of two by two.
const number = "mov.u32 %r4, %ctaid.y; shl.b32 %r4, %r4, 1; add.u32 %r1, %r1, %r4; setp.eq.u32 %p1, %r1, 0; mul.wide.u32 %d2, %r1, 1; add.u64 %d2, %d2, %d1; mul.wide.u32 %d3, %r1, 4; add.u64 %d3, %d3, %d1; "

func TestRacesBetweenBlocks(t *testing.T) {
	for _, c := range []struct{ name, body, what string }{
		{"writes", "st.global.u32 [%d1], %r3;", "it is written here, and block [? ? 0] wrote it in the same launch"},
		{"writes of equal values", "@%p2 st.global.u32 [%d1], 1;", "wrote it"},
		{"a write and reads", "@%p1 st.global.u32 [%d1+4], %r3; @!%p1 ld.global.u32 %r4, [%d1+4];", "it is"},
		{"a write of what all read", "ld.global.u32 %r4, [%d1]; @%p1 st.global.u32 [%d1], %r3;", "it is"},
		{"a read and an atomic operation", "@%p1 ld.global.u32 %r4, [%d1]; @!%p1 red.global.add.u32 [%d1], 1;", "it is"},
		{"a write and an atomic operation", "@%p1 st.global.u32 [%d1], %r3; red.global.add.u32 [%d1], 1;", "it is"},
		{"the result of an atomic sum", "red.global.add.u32 [%d1], 1; ld.global.u32 %r4, [%d1];", "it is"},
		{"one byte of two", "@%p1 st.global.u16 [%d1], 1; setp.eq.u32 %p3, %r1, 1; @%p3 st.global.u8 [%d1+1], %r3;", "race at 0x10000000001"},
		{"bytes, then the word", "@%p2 st.global.u8 [%d2], %r3; @%p1 ld.global.u32 %r4, [%d1];", "it is"},
		{"wide accesses", "@%p1 st.global.v4.u32 [%d1], {%r3, %r3, %r3, %r3}; @!%p1 ld.global.v2.u32 {%r4, %r5}, [%d1+8];", "race at 0x10000000008"},
		{"copies", "@%p1 st.global.u32 [%d1], %r3; setp.ne.u32 %p3, %r1, 0; and.pred %p3, %p3, %p2; mov.u32 %r4, s; @%p3 cp.async.ca.shared.global [%r4], [%d1], 4; cp.async.wait_all;", "it is"},
	} {
		for seed := range uint64(6) {
			m := NewMemory(1<<40, 1<<20)
			out := upload(t, m, make([]byte, 64))
			err := runBlocks(t, m, out, number+c.body, Options{Seed: seed, Workers: 1 + int(seed%3)})
			var fault *Fault
			if !errors.As(err, &fault) || !errors.Is(err, driver.ErrLaunchFailed) || fault.Kernel != "k" || fault.Line != 8 || !strings.Contains(fault.What, "race at 0x1000000000") {
				t.Errorf("%s, seed %d: got %v", c.name, seed, err)
				continue
			}
			said := []byte(fault.What)
			if i := strings.Index(fault.What, "and block ["); i >= 0 {
				said[i+11], said[i+13] = '?', '?'
			}
			if !strings.Contains(string(said), c.what) {
				t.Errorf("%s, seed %d: %s", c.name, seed, fault.What)
			}
		}
	}
}

func TestBlocksThatShareMemoryWithoutRaces(t *testing.T) {
	for name, body := range map[string]string{
		"reads":                   "ld.global.u32 %r4, [%d1]; ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%d1]; ld.global.u16 %r4, [%d1+2];",
		"own words":               "@%p2 ld.global.u32 %r4, [%d3]; @%p2 st.global.u32 [%d3], %r3; @%p2 ld.global.u32 %r4, [%d3];",
		"own bytes":               "@%p2 ld.global.u8 %r4, [%d2]; @%p2 st.global.u8 [%d2], %r3; @%p2 ld.global.u8 %r4, [%d2];",
		"atomic operations":       "red.global.add.u32 [%d1], 1; atom.global.max.u32 %r4, [%d1], 9;",
		"a flag":                  "@%p1 st.volatile.global.u32 [%d1], %r3; ld.relaxed.gpu.global.u32 %r4, [%d1]; red.global.or.b32 [%d1], 1;",
		"halves of a word":        "@%p1 st.global.u16 [%d1], 1; setp.eq.u32 %p3, %r1, 1; @%p3 st.global.u16 [%d1+2], 2; @%p3 ld.global.u16 %r4, [%d1+2];",
		"reads beside own writes": "ld.global.u16 %r4, [%d1]; @%p1 st.global.u16 [%d1+2], 2;",
	} {
		for seed := range uint64(6) {
			m := NewMemory(1<<40, 1<<20)
			out := upload(t, m, make([]byte, 64))
			for range 2 {
				if err := runBlocks(t, m, out, number+body, Options{Seed: seed, Workers: 1 + int(seed%3)}); err != nil {
					t.Errorf("%s, seed %d: %v", name, seed, err)
				}
			}
		}
	}
}

// What a launch did is forgotten at the next, also when the numbers of launches begin anew.
func TestLaunchesDoNotRaceWithEarlierOnes(t *testing.T) {
	m := NewMemory(1<<40, 1<<20)
	out := upload(t, m, make([]byte, 64))
	s := m.find(out, 4)
	for turn := range 6 {
		if turn == 3 {
			s.trails.turn = 1<<16 - 2
		}
		for _, body := range []string{"ld.global.u32 %r4, [%d1]; st.global.u8 [%d2+8], 1;", "@%p1 st.global.u32 [%d1], %r3; @%p1 st.global.u32 [%d1+8], %r3;"} {
			if err := runBlocks(t, m, out, number+"@!%p2 ret; "+body, Options{Workers: 2}); err != nil {
				t.Errorf("turn %d: %v", turn, err)
			}
		}
	}
}
