package simt

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

const registers = `.reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<40>; .reg .f32 %f<40>; .reg .b64 %d<16>;
`

// prologue leaves in %d0 the address of this thread's word in out, %d1 out itself, %r0 the thread.
const prologue = registers + `ld.param.u64 %d1, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %d0, %r0, 4; add.s64 %d0, %d0, %d1;
`

// runWords runs one block of n threads on n words of -1, and gives the words.
func runWords(t testing.TB, n int, variables, body string, o Options) ([]uint32, error) {
	t.Helper()
	k := mustCompile(t, ".entry k(.param .u64 out) {\n"+variables+prologue+body+" ret; }")
	m := NewMemory(1<<40, 1<<20)
	out := upload(t, m, []byte(strings.Repeat("\xff", 4*n)))
	if _, err := k.Run(m, Launch{Grid: [3]int{1, 1, 1}, Block: [3]int{n, 1, 1}, Params: []uint64{out}}, o); err != nil {
		return nil, err
	}
	b := make([]byte, 4*n)
	if err := m.Read(b, out); err != nil {
		t.Fatal(err)
	}
	words := make([]uint32, n)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return words, nil
}

func expectWords(t *testing.T, n int, variables, body string, want func(i int) uint32) {
	t.Helper()
	for seed := range uint64(6) {
		got, err := runWords(t, n, variables, body, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if w := want(i); g != w {
				t.Fatalf("%s\nseed %d: thread %d gave %#x, want %#x", body, seed, i, g, w)
			}
		}
	}
}

const storeR1 = " st.global.u32 [%d0], %r1;"

func TestDivergenceMeetsAgain(t *testing.T) {
	// Odd lanes take one side; behind the meeting point all lanes vote together.
	expectWords(t, 40, "", `and.b32 %r2, %r0, 1; setp.eq.u32 %p1, %r2, 1; @%p1 bra odd; mov.u32 %r1, 10; bra.uni meet; odd: mov.u32 %r1, 20; meet:
		activemask.b32 %r3; add.u32 %r1, %r1, %r3;`+storeR1, func(i int) uint32 {
		all := uint32(full)
		if i >= 32 {
			all = 0xff
		}
		return all + 10 + uint32(i%2)*10
	})
	// A loop of as many rounds as the lane's number, with a skip inside.
	expectWords(t, 33, "", `mov.u32 %r1, 0; mov.u32 %r2, 0; head: setp.ge.u32 %p1, %r2, %r0; @%p1 bra done;
		and.b32 %r3, %r2, 1; setp.eq.u32 %p2, %r3, 0; @%p2 bra skip; add.u32 %r1, %r1, %r2; skip: add.u32 %r2, %r2, 1; bra head; done: activemask.b32 %r4;
		setp.ne.u32 %p3, %r4, -1; @%p3 mov.u32 %r5, 0;`+storeR1, func(i int) uint32 {
		sum := 0
		for j := 1; j < i; j += 2 {
			sum += j
		}
		return uint32(sum)
	})
	// Early return of some lanes leaves the others running.
	expectWords(t, 32, "", `setp.lt.u32 %p1, %r0, 5; @%p1 ret; activemask.b32 %r1;`+storeR1, func(i int) uint32 {
		if i < 5 {
			return full
		}
		return full &^ 31
	})
	// Nested branches, the inner one leaving through the outer's meeting point.
	expectWords(t, 32, "", `mov.u32 %r1, 0; setp.lt.u32 %p1, %r0, 16; @!%p1 bra end; setp.lt.u32 %p2, %r0, 8; @%p2 bra end; mov.u32 %r1, 1; end: activemask.b32 %r2;
		shr.u32 %r2, %r2, 31; add.u32 %r1, %r1, %r2;`+storeR1, func(i int) uint32 {
		if i >= 8 && i < 16 {
			return 2
		}
		return 1
	})
}

func TestBarriersOrderSharedMemory(t *testing.T) {
	// Every thread reads what the thread at the other end of the block wrote, twice.
	expectWords(t, 96, ".shared .align 4 .b8 s[384];", `shl.b32 %r2, %r0, 2; mov.u32 %r3, s; add.u32 %r4, %r3, %r2; st.shared.u32 [%r4], %r0; bar.sync 0;
		sub.u32 %r5, 380, %r2; add.u32 %r5, %r5, %r3; ld.shared.u32 %r1, [%r5]; barrier.sync.aligned 0; st.shared.u32 [%r5], 7; bar.warp.sync -1;`+storeR1,
		func(i int) uint32 { return uint32(95 - i) })
	// One warp needs no block barrier.
	expectWords(t, 32, ".shared .align 4 .b8 s[128];", `shl.b32 %r2, %r0, 2; mov.u32 %r3, s; add.u32 %r4, %r3, %r2; st.shared.u32 [%r4], %r0; bar.warp.sync -1;
		sub.u32 %r5, 124, %r2; add.u32 %r5, %r5, %r3; ld.shared.u32 %r1, [%r5];`+storeR1, func(i int) uint32 { return uint32(31 - i) })
	// Bytes of one word may belong to different threads.
	expectWords(t, 64, ".shared .align 4 .b8 s[64];", `mov.u32 %r3, s; add.u32 %r4, %r3, %r0; st.shared.u8 [%r4], %r0; ld.shared.u8 %r1, [%r4];`+storeR1,
		func(i int) uint32 { return uint32(i) })
	// Atomic updates of one word race with nothing but plain accesses.
	expectWords(t, 64, ".shared .align 4 .b8 s[4];", `setp.eq.u32 %p1, %r0, 0; @%p1 st.shared.u32 [s], 0; bar.sync 0; red.shared.add.u32 [s], 2; bar.sync 0; ld.shared.u32 %r1, [s];`+storeR1,
		func(i int) uint32 { return 128 })
}

func TestBarriersCountVotes(t *testing.T) {
	for code, want := range map[string]uint32{
		"bar.red.popc.u32 %r1, 0, %p1;":                          13,
		"barrier.cta.red.popc.aligned.u32 %r1, 0, !%p1;":         77 - 13,
		"bar.red.or.pred %p2, 0, %p1; selp.u32 %r1, 1, 0, %p2;":  1,
		"bar.red.and.pred %p2, 0, %p1; selp.u32 %r1, 1, 0, %p2;": 0,
		"bar.red.and.pred %p2, 0, %p3; selp.u32 %r1, 1, 0, %p2;": 1,
		"bar.red.or.pred %p2, 0, !%p3; selp.u32 %r1, 1, 0, %p2;": 0,
	} {
		expectWords(t, 77, "", "setp.ge.u32 %p1, %r0, 64; setp.lt.u32 %p3, %r0, 99;"+code+storeR1, func(int) uint32 { return want })
	}
}

func TestMemorySpaces(t *testing.T) {
	for body, want := range map[string]func(i int) uint32{
		"st.local.v2.u32 [depot+8], {%r0, 5}; ld.local.u32 %r1, [depot+8];":                                   func(i int) uint32 { return uint32(i) },
		"mov.u64 %d3, depot; cvta.local.u64 %d3, %d3; st.u32 [%d3+4], 9; ld.local.u32 %r1, [depot+4];":        func(i int) uint32 { return 9 },
		"cvta.to.global.u64 %d3, %d0; st.global.u8 [%d3], 0x80; ld.global.s8 %r1, [%d3];":                     func(i int) uint32 { return 0xffffff80 },
		"st.u32 [%d0], 6; ld.u32 %r1, [%d0];":                                                                 func(i int) uint32 { return 6 },
		"ld.global.nc.u16 %h1, [%d0]; cvt.u32.u16 %r1, %h1;":                                                  func(i int) uint32 { return 0xffff },
		"ld.volatile.global.u32 %r1, [%d0];":                                                                  func(i int) uint32 { return full },
		"ld.param.u32 %r2, [out]; cvt.u32.u64 %r1, %d1; sub.u32 %r1, %r1, %r2;":                               func(i int) uint32 { return 0 },
		"mov.u32 %r1, %ntid.x; mov.u32 %r2, %ctaid.y; add.u32 %r1, %r1, %r2;":                                 func(i int) uint32 { return 48 },
		"mov.u32 %r1, %lanemask_lt;":                                                                          func(i int) uint32 { return 1<<(i%32) - 1 },
		"mov.u32 %r1, %lanemask_ge;":                                                                          func(i int) uint32 { return full << (i % 32) },
		"mov.u32 %r1, %laneid; mov.u32 %r2, %warpid; shl.b32 %r2, %r2, 8; or.b32 %r1, %r1, %r2;":              func(i int) uint32 { return uint32(i%32 | i/32<<8) },
		"membar.gl; fence.acq_rel.gpu; prefetch.global.L2 [%d0]; mov.u32 %r1, 1;":                             func(i int) uint32 { return 1 },
		"and.b32 %r2, %r0, 1; setp.eq.u32 %p1, %r2, 1; @!%p1 bra a; mov.u32 %r1, 1; a: @!%p1 mov.u32 %r1, 3;": func(i int) uint32 { return 3 - 2*uint32(i%2) },
	} {
		expectWords(t, 48, ".local .align 8 .b8 depot[16];", body+storeR1, want)
	}
}

// Lanes 0 to 3 in turn apply 3, 4, 5 and -2 to a word that starts at 6.
func TestAtomics(t *testing.T) {
	for op, want := range map[string]uint32{
		"add.u32": 16, "add.f32": 0x7fffffff, "min.s32": 0xfffffffe, "max.s32": 6, "min.u32": 3, "max.u32": 0xfffffffe, "and.b32": 0, "or.b32": 0xffffffff,
		"xor.b32": 0xfffffffa, "exch.b32": 0xfffffffe, "inc.u32": 3, "dec.u32": 0,
	} {
		got, err := runWords(t, 4, "", `st.global.u32 [%d1], 6; add.u32 %r2, %r0, 3; setp.eq.u32 %p1, %r0, 3; @%p1 mov.u32 %r2, -2;
			atom.global.`+op+` %r1, [%d1], %r2;`, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != want {
			t.Errorf("%s: got %#x, want %#x", op, got[0], want)
		}
	}
	// The old value comes back; a compare-and-swap takes place only where it was expected.
	expectWords(t, 1, "", "st.global.u32 [%d1], 6; atom.global.cas.b32 %r2, [%d1], 6, 9; atom.global.cas.b32 %r3, [%d1], 6, 11; add.u32 %r1, %r2, %r3; shl.b32 %r1, %r1, 8; red.add.u32 [%d1], %r1;",
		func(int) uint32 { return 15<<8 + 9 })
	expectWords(t, 1, "", "mov.u32 %r4, 0; st.global.u32 [%d1], 0x3c003c00; red.global.add.noftz.f16x2 [%d1], %r4;", func(int) uint32 { return 0x3c003c00 })
}

func TestFaults(t *testing.T) {
	const shared = ".shared .align 16 .b8 s[256];"
	for _, f := range []struct {
		name, body string
		code       driver.Error
		thread     int
		what       string
	}{
		{"past the end", "st.global.u32 [%d0+4], %r0;", driver.ErrIllegalAddress, 63, "4 bytes at 0x10000000100 of global memory belong to no allocation"},
		{"null", "mov.u64 %d2, 0; ld.global.u32 %r1, [%d2];", driver.ErrIllegalAddress, -1, "4 bytes at 0x0 of global memory belong to no allocation"},
		{"misaligned", "ld.global.v2.u32 {%r1, %r2}, [%d0];", driver.ErrMisalignedAddress, -1, "are misaligned"},
		{"shared bound", "ld.shared.u32 %r1, [s+256];", driver.ErrIllegalAddress, -1, "outside the block's 256 bytes of shared memory"},
		{"shared misaligned", "ld.shared.u32 %r1, [s+2];", driver.ErrMisalignedAddress, -1, "misaligned"},
		{"shared not written", "ld.shared.u32 %r1, [s];", driver.ErrLaunchFailed, -1, "read before it is written"},
		{"write-write race", "st.shared.u32 [s], %r0;", driver.ErrLaunchFailed, -1, "race on byte 0x400 of shared memory: thread"},
		{"write-read race", "setp.eq.u32 %p1, %r0, 40; @%p1 st.shared.u32 [s], %r0; setp.eq.u32 %p2, %r0, 0; bar.warp.sync -1; @%p2 ld.shared.u32 %r1, [s];",
			driver.ErrLaunchFailed, 0, "byte 0x400 of shared memory"},
		{"read-write race", "setp.eq.u32 %p1, %r0, 40; @%p1 st.shared.u32 [s], %r0; bar.sync 0; ld.shared.u32 %r1, [s]; @%p1 st.shared.u32 [s], %r0;", driver.ErrLaunchFailed, -1, "race"},
		{"no warp barrier", "setp.eq.u32 %p1, %r0, 4; @%p1 st.shared.u32 [s], %r0; setp.eq.u32 %p2, %r0, 5; @%p2 ld.shared.u32 %r1, [s];", driver.ErrLaunchFailed, 5, "thread [4 0 0] wrote it"},
		{"atomic and plain", "setp.eq.u32 %p1, %r0, 40; @%p1 st.shared.u32 [s], 0; bar.sync 0; red.shared.add.u32 [s], 1; ld.shared.u32 %r1, [s];", driver.ErrLaunchFailed, -1, "race"},
		{"divergent barrier", "setp.lt.u32 %p1, %r0, 7; @%p1 bra a; bar.sync 0; a: mov.u32 %r1, 1;", driver.ErrLaunchFailed, 0, "the barrier is divergent"},
		{"two barriers", "setp.lt.u32 %p1, %r0, 32; @%p1 bra a; bar.sync 0; bra.uni b; a: bar.sync 0; b: mov.u32 %r1, 1;", driver.ErrLaunchFailed, -1, "warp 1 is at this one, warp 0 at PTX line"},
		{"barrier without a warp", "setp.lt.u32 %p1, %r0, 32; @%p1 ret; bar.sync 0;", driver.ErrLaunchFailed, 32, "the threads of warp 0 have returned without it"},
		{"barrier without a lane", "setp.lt.u32 %p1, %r0, 3; @%p1 ret; bar.sync 0;", driver.ErrLaunchFailed, 0, "this thread has returned without it"},
		{"warp barrier without a lane", "setp.lt.u32 %p1, %r0, 3; @%p1 bra a; bar.warp.sync -1; a: mov.u32 %r1, 1;", driver.ErrLaunchFailed, 0, "names this thread, which is on another path"},
		{"endless loop", "a: bra a;", driver.ErrLaunchTimeout, -1, "still running after"},
		{"local not written", "ld.local.u32 %r1, [depot];", driver.ErrLaunchFailed, -1, "local memory are read before they are written"},
		{"local bound", "ld.local.u32 %r1, [depot+8];", driver.ErrIllegalAddress, -1, "outside the thread's"},
		{"absent lane", "and.b32 %r2, %r0, 31; setp.gt.u32 %p1, %r2, 3; @%p1 bra a; shfl.sync.idx.b32 %r1, %r0, 9, 31, 15; a: mov.u32 %r1, 1;", driver.ErrLaunchFailed, -1, "lane 9, whose value is asked for, does not take part"},
		{"copy not waited for", "mov.u32 %r2, s; shl.b32 %r3, %r0, 2; add.u32 %r2, %r2, %r3; cp.async.ca.shared.global [%r2], [%d0], 4; cp.async.commit_group; ld.shared.u32 %r1, [%r2];",
			driver.ErrLaunchFailed, -1, "asynchronous copy that was not waited for"},
		{"copy without barrier", "mov.u32 %r2, s; shl.b32 %r3, %r0, 2; add.u32 %r2, %r2, %r3; cp.async.ca.shared.global [%r2], [%d0], 4; cp.async.wait_all; xor.b32 %r3, %r3, 4; mov.u32 %r2, s; add.u32 %r2, %r2, %r3; ld.shared.u32 %r1, [%r2];",
			driver.ErrLaunchFailed, -1, "race"},
		{"warp-wide op in part of a warp", "setp.lt.u32 %p1, %r0, 3; @%p1 ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [s];", driver.ErrLaunchFailed, 3, "needs all 32 lanes"},
	} {
		for seed := range uint64(4) {
			_, err := runWords(t, 64, shared+".local .align 4 .b8 depot[8];", f.body, Options{Seed: seed, Budget: 5000})
			var fault *Fault
			if !errors.As(err, &fault) {
				t.Errorf("%s, seed %d: got %v, want a fault", f.name, seed, err)
				break
			}
			at := fault.Thread[0]
			if !errors.Is(err, f.code) || !strings.Contains(fault.What, f.what) || f.thread >= 0 && at != f.thread || fault.Kernel != "k" || fault.Line < 5 {
				t.Errorf("%s, seed %d: got %v (%v)", f.name, seed, err, fault.Code)
			}
		}
	}
}

func TestFaultNamesKernelLineAndThread(t *testing.T) {
	k := mustCompile(t, ".entry wrong(.param .u64 out) {\n"+registers+"mov.u64 %d1, 64;\nmov.u32 %r1, %tid.y;\nsetp.eq.u32 %p1, %r1, 1;\n@%p1 ld.global.u32 %r2, [%d1];\n}")
	_, err := k.Run(NewMemory(1<<40, 1<<20), Launch{Grid: [3]int{1, 3, 1}, Block: [3]int{4, 2, 1}, Params: []uint64{0}}, Options{Workers: 1})
	if err == nil || !strings.Contains(err.Error(), "kernel wrong, PTX line 9 (ld.global.u32), block [0 ") || !strings.Contains(err.Error(), "thread [0 1 0]: 4 bytes at 0x40") {
		t.Errorf("got %v", err)
	}
}

func TestCompileErrorsNameKernelLineAndOpcode(t *testing.T) {
	for code, want := range map[string]string{
		"tex.2d.v4 %r1, %r2;":                           "kernel k, PTX line 6 (tex.2d.v4): unknown opcode",
		"add.wide.s32 %r1, %r2, %r3;":                   "kernel k, PTX line 6 (add.wide.s32): unknown modifier .wide",
		"bar.sync 0, 32;":                               "kernel k, PTX line 6 (bar.sync): barriers of a part of a block are not supported",
		"add.s32 %r1, %nothing, 1;":                     "kernel k, PTX line 6 (add.s32): %nothing is no register",
		"bra nowhere;":                                  "kernel k, PTX line 6 (bra): no label nowhere",
		"ld.global.v2.u32 %r1, [%d1];":                  "kernel k, PTX line 6 (ld.global.v2.u32): 1 operands for a vector of 2",
		"add.s32 %r1;":                                  "kernel k, PTX line 6 (add.s32): operand 2 is missing",
		"cp.async.bulk.shared.global [%r1], [%d1], 16;": "kernel k, PTX line 6 (cp.async.bulk.shared.global): unknown modifier .bulk",
	} {
		_, err := compileText(".entry k() {\n" + registers + code + " }")
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", code, err, want)
		}
	}
}

func TestLaunchesThatCannotBe(t *testing.T) {
	k := mustCompile(t, ".entry k(.param .u64 out) .maxntid 64 { ret; }")
	m := NewMemory(1<<40, 1<<20)
	one := [3]int{1, 1, 1}
	for name, c := range map[string]struct {
		l    Launch
		want driver.Error
	}{
		"threads":    {Launch{Grid: one, Block: [3]int{65, 1, 1}, Params: []uint64{0}}, driver.ErrLaunchResources},
		"empty grid": {Launch{Grid: [3]int{0, 1, 1}, Block: one, Params: []uint64{0}}, driver.ErrInvalidValue},
		"parameters": {Launch{Grid: one, Block: one}, driver.ErrInvalidValue},
		"shared":     {Launch{Grid: one, Block: one, Shared: 16, Params: []uint64{0}}, driver.ErrInvalidValue},
	} {
		if _, err := k.Run(m, c.l, Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// Every block of a grid runs once, whatever the seed and the number of workers.
func TestEveryBlockRunsOnce(t *testing.T) {
	k := mustCompile(t, ".entry k(.param .u64 out) {"+registers+`ld.param.u64 %d1, [out]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ctaid.y; mov.u32 %r3, %ctaid.z;
		mad.lo.u32 %r1, %r2, 5, %r1; mad.lo.u32 %r1, %r3, 15, %r1; mul.wide.u32 %d2, %r1, 4; add.s64 %d2, %d2, %d1; red.global.add.u32 [%d2], 1; }`)
	for seed := range uint64(5) {
		m := NewMemory(1<<40, 1<<20)
		out := upload(t, m, make([]byte, 4*30))
		s, err := k.Run(m, Launch{Grid: [3]int{5, 3, 2}, Block: [3]int{2, 1, 1}, Params: []uint64{out}}, Options{Seed: seed, Workers: int(seed)})
		if err != nil {
			t.Fatal(err)
		}
		if s.WarpInstructions != 30*10 || s.ThreadInstructions != 30*20 {
			t.Errorf("counted %+v, want 10 instructions of each of 30 warps, 20 of their threads", s)
		}
		b := make([]byte, 4*30)
		if err := m.Read(b, out); err != nil {
			t.Fatal(err)
		}
		for i := range 30 {
			if n := binary.LittleEndian.Uint32(b[4*i:]); n != 2 {
				t.Errorf("seed %d: block %d counted %d threads, want 2", seed, i, n)
			}
		}
	}
}

// clang declares all kernels' shared variables in the module; each kernel has its own only.
func TestKernelHasTheSharedVariablesThatItNames(t *testing.T) {
	m, err := ptx.Parse(`.version 7.8
.target sm_80
.address_size 64
.shared .align 4 .b8 a[40000];
.shared .align 4 .b8 b[30000];
.extern .shared .align 16 .b8 pool[];
.entry first() { .reg .b32 %r<2>; mov.u32 %r0, a; ld.shared.u32 %r1, [%r0]; ret; }
.entry second() { .reg .b32 %r<2>; ld.shared.u32 %r1, [b+4]; ret; }
.entry third() { ret; }`)
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := Compile(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"first": 40000, "second": 30000, "third": 0} {
		if got := kernels[name].Shared; got != want {
			t.Errorf("%s has %d bytes of shared memory, want %d", name, got, want)
		}
	}
}
