package simt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ofpeak/kernels"
)

func TestShuffles(t *testing.T) {
	for code, want := range map[string]func(i int) int{
		"shfl.sync.bfly.b32 %r1, %r0, 16, 31, -1;":   func(i int) int { return i ^ 16 },
		"shfl.sync.down.b32 %r1, %r0, 3, 31, -1;":    func(i int) int { return map[bool]int{true: i + 3, false: i}[i+3 < 32] },
		"shfl.sync.up.b32 %r1, %r0, 3, 0, -1;":       func(i int) int { return map[bool]int{true: i - 3, false: i}[i >= 3] },
		"shfl.sync.idx.b32 %r1, %r0, 5, 31, -1;":     func(i int) int { return 5 },
		"shfl.sync.idx.b32 %r1, %r0, 1, 0x181f, -1;": func(i int) int { return i/8*8 + 1 },
		"shfl.sync.down.b32 %r1, %r0, 1, 0x1807, -1;": func(i int) int {
			return map[bool]int{true: i + 1, false: i}[i%8 < 7]
		},
	} {
		expectWords(t, 32, "", code+storeR1, func(i int) uint32 { return uint32(want(i)) })
	}
	expectWords(t, 32, "", "shfl.sync.down.b32 %r2|%p1, %r0, 3, 31, -1; selp.u32 %r1, 1, 0, %p1;"+storeR1, func(i int) uint32 {
		return map[bool]uint32{true: 1, false: 0}[i+3 < 32]
	})
	// A part of a warp exchanges among itself.
	expectWords(t, 32, "", "setp.lt.u32 %p1, %r0, 4; mov.u32 %r1, 99; @!%p1 bra end; shfl.sync.bfly.b32 %r1, %r0, 1, 31, 15; end:"+storeR1, func(i int) uint32 {
		return map[bool]uint32{true: uint32(i ^ 1), false: 99}[i < 4]
	})
}

func TestVotesAndReductions(t *testing.T) {
	for code, want := range map[string]uint32{
		"vote.sync.ballot.b32 %r1, %p1, -1;":                                                  0x55555555,
		"vote.sync.any.pred %p2, %p1, -1; selp.u32 %r1, 1, 0, %p2;":                           1,
		"vote.sync.all.pred %p2, %p1, -1; selp.u32 %r1, 1, 0, %p2;":                           0,
		"vote.sync.uni.pred %p2, !%p3, -1; selp.u32 %r1, 1, 0, %p2;":                          1,
		"redux.sync.add.s32 %r1, %r0, -1;":                                                    496,
		"redux.sync.max.u32 %r1, %r0, -1;":                                                    31,
		"redux.sync.min.s32 %r1, %r0, -1;":                                                    0,
		"redux.sync.or.b32 %r1, %r0, -1;":                                                     31,
		"redux.sync.xor.b32 %r1, %r0, -1;":                                                    0,
		"activemask.b32 %r1;":                                                                 full,
		"elect.sync %r1|%p2, -1; selp.u32 %r2, 100, 0, %p2; redux.sync.add.u32 %r1, %r2, -1;": 100,
	} {
		expectWords(t, 32, "", "and.b32 %r2, %r0, 1; setp.eq.u32 %p1, %r2, 0; setp.lt.u32 %p3, %r0, 64;"+code+storeR1, func(int) uint32 { return want })
	}
	expectWords(t, 32, "", "and.b32 %r2, %r0, 3; match.any.sync.b32 %r1, %r2, -1;"+storeR1, func(i int) uint32 { return 0x11111111 << (i % 4) })
}

func TestAsynchronousCopies(t *testing.T) {
	const shared = ".shared .align 16 .b8 s[512];"
	// Each thread copies its own word; one group may stay in flight while the first is read.
	expectWords(t, 64, shared, `st.global.u32 [%d0], %r0; mov.u32 %r2, s; shl.b32 %r3, %r0, 2; add.u32 %r2, %r2, %r3; cp.async.ca.shared.global [%r2], [%d0], 4; cp.async.commit_group;
		cp.async.ca.shared.global [%r2+256], [%d0], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r1, [%r2]; cp.async.wait_group 0; ld.shared.u32 %r4, [%r2+256];
		mad.lo.u32 %r1, %r4, 1000, %r1;`+storeR1, func(i int) uint32 { return uint32(1001 * i) })
	// Fewer bytes than asked for: the rest is zero.
	expectWords(t, 4, shared, `mov.u32 %r2, s; shl.b32 %r3, %r0, 4; add.u32 %r2, %r2, %r3; cp.async.cg.shared.global.L2::128B [%r2], [%d1], 16, %r0; cp.async.wait_all; ld.shared.u32 %r1, [%r2];`+storeR1,
		func(i int) uint32 { return uint32(uint64(1)<<(8*i) - 1) })
	// The source is read as late as the wait.
	expectWords(t, 1, shared, `mov.u32 %r2, s; cp.async.ca.shared.global [%r2], [%d1], 4; st.global.u32 [%d1], 5; cp.async.wait_all; ld.shared.u32 %r1, [%r2];`+storeR1,
		func(int) uint32 { return 5 })
}

// Row r of matrix i holds 256·i + 16·r + column.
func TestLoadMatrix(t *testing.T) {
	const fill = `shl.b32 %r2, %r0, 4; mov.u32 %r3, s; add.u32 %r3, %r3, %r2; shr.u32 %r4, %r0, 3; shl.b32 %r4, %r4, 8; and.b32 %r5, %r0, 7; shl.b32 %r5, %r5, 4; add.u32 %r4, %r4, %r5;
		mul.lo.u32 %r4, %r4, 0x10001; add.u32 %r4, %r4, 0x10000; st.shared.u32 [%r3], %r4; add.u32 %r4, %r4, 0x20002; st.shared.u32 [%r3+4], %r4;
		add.u32 %r4, %r4, 0x20002; st.shared.u32 [%r3+8], %r4; add.u32 %r4, %r4, 0x20002; st.shared.u32 [%r3+12], %r4; bar.warp.sync -1; `
	for i := range 4 {
		regs := make([]string, 4)
		for j := range regs {
			regs[j] = fmt.Sprintf("%%r%d", 10+j)
		}
		load := "{" + strings.Join(regs, ",") + "}, [%r3]; mov.u32 %r1, " + regs[i] + ";" + storeR1
		expectWords(t, 32, ".shared .align 16 .b8 s[512];", fill+"ldmatrix.sync.aligned.m8n8.x4.shared.b16 "+load, func(l int) uint32 {
			lo := uint32(256*i + 16*(l/4) + l%4*2)
			return lo | (lo+1)<<16
		})
		expectWords(t, 32, ".shared .align 16 .b8 s[512];", fill+"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 "+load, func(l int) uint32 {
			lo := uint32(256*i + 16*(l%4*2) + l/4)
			return lo | (lo+16)<<16
		})
	}
}

// mmaCase places small integers in the fragments of one product as the ISA's figures show, and expects the exact product.
type mmaCase struct {
	op     string
	k, per int // elements of a register
	encode func(x int) uint32
	result func(v uint32) int
	sparse string // mma.sp's further operands
}

func TestMatrixMultiply(t *testing.T) {
	half := func(x int) uint32 { return uint32(kernels.F16FromF32(float32(x))) }
	bf := func(x int) uint32 { return uint32(kernels.BF16FromF32(float32(x))) }
	tf := func(x int) uint32 { return math.Float32bits(float32(x)) }
	byteOf := func(x int) uint32 { return uint32(uint8(x)) }
	float := func(v uint32) int { return int(math.Float32frombits(v)) }
	integer := func(v uint32) int { return int(int32(v)) }
	for _, c := range []mmaCase{
		{"m16n8k16.row.col.f32.f16.f16.f32", 16, 2, half, float, ""},
		{"m16n8k8.row.col.f32.f16.f16.f32", 8, 2, half, float, ""},
		{"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 2, bf, float, ""},
		{"m16n8k8.row.col.f32.tf32.tf32.f32", 8, 1, tf, float, ""},
		{"m16n8k4.row.col.f32.tf32.tf32.f32", 4, 1, tf, float, ""},
		{"m16n8k32.row.col.s32.s8.s8.s32", 32, 4, byteOf, integer, ""},
		{"m16n8k16.row.col.s32.s8.s8.s32", 16, 4, byteOf, integer, ""},
	} {
		c.run(t)
	}
}

func (c mmaCase) run(t *testing.T) {
	r := rand.New(rand.NewPCG(9, uint64(c.k)))
	var a [16][32]int
	var b [32][8]int
	for i := range c.k {
		for j := range 16 {
			a[j][i] = r.IntN(15) - 7
		}
		for j := range 8 {
			b[i][j] = r.IntN(15) - 7
		}
	}
	word := func(at func(e int) int) (v uint32) {
		for e := range c.per {
			v |= c.encode(at(e)) << (32 / c.per * e)
		}
		return v
	}
	na, nb := c.k/(2*c.per), c.k/(4*c.per)
	words := make([]uint32, 0, 32*(na+nb)) // of each lane: the registers of A, then of B
	for l := range 32 {
		g, tig := l/4, l%4
		for i := range na { // A's registers: rows g and g+8 of the first 4·per columns, then of the next
			words = append(words, word(func(e int) int { return a[g+8*(i&1)][tig*c.per+e+4*c.per*(i>>1)] }))
		}
		for i := range nb {
			words = append(words, word(func(e int) int { return b[tig*c.per+e+4*c.per*i][g] }))
		}
	}
	got := runMMA(t, c, words, na, nb)
	for l := range 32 {
		for i := range 4 {
			row, col := l/4+i/2*8, l%4*2+i%2
			want := 100
			for k := range c.k {
				want += a[row][k] * b[k][col]
			}
			if v := c.result(got[4*l+i]); v != want {
				t.Fatalf("%s: element (%d,%d) is %d, want %d", c.op, row, col, v, want)
			}
		}
	}
}

// runMMA loads each lane's registers, multiplies, and gives the four results of each lane.
func runMMA(t *testing.T, c mmaCase, words []uint32, na, nb int) []uint32 {
	t.Helper()
	var code strings.Builder
	regs := func(first, n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("%%r%d", first+i)
		}
		return "{" + strings.Join(names, ",") + "}"
	}
	loaded, name := na+nb, "mma"
	if c.sparse != "" {
		loaded, name = loaded+1, "mma.sp" // the metadata
	}
	for i := range loaded {
		fmt.Fprintf(&code, "ld.global.u32 %%r%d, [%%d0+%d];\n", 4+i, 4*i)
	}
	hundred := "0f42C80000"
	if strings.Contains(c.op, "s32") {
		hundred = "100"
	}
	for i := range 4 {
		fmt.Fprintf(&code, "mov.b32 %%r%d, %s;\n", 20+i, hundred)
	}
	fmt.Fprintf(&code, "%s.sync.aligned.%s %s, %s, %s, %s%s;\n", name, c.op, regs(20, 4), regs(4, na), regs(4+na, nb), regs(20, 4), c.sparse)
	code.WriteString("st.global.v4.u32 [%d2], " + regs(20, 4) + ";")
	k := mustCompile(t, ".entry k(.param .u64 in, .param .u64 out) {"+registers+fmt.Sprintf(`ld.param.u64 %%d1, [in]; ld.param.u64 %%d2, [out]; mov.u32 %%r0, %%tid.x;
		mul.wide.u32 %%d0, %%r0, %d; add.s64 %%d0, %%d0, %%d1; mul.wide.u32 %%d3, %%r0, 16; add.s64 %%d2, %%d2, %%d3;`, 4*loaded)+code.String()+"}")
	m := NewMemory(1<<40, 1<<20)
	in, out := upload(t, m, bytesOf(words)), upload(t, m, make([]byte, 512))
	if _, err := k.Run(m, Launch{Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Params: []uint64{in, out}}, Options{}); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	if err := m.Read(b, out); err != nil {
		t.Fatal(err)
	}
	return wordsOf(b)
}

func TestHalfSums(t *testing.T) {
	// All ones: every element is k + 1 in float16.
	expectWords(t, 32, "", `mov.b32 %r4, 0x3c003c00; mov.b32 %r5, 0x3c003c00; mov.b32 %r6, 0x3c003c00; mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r1, %r2}, {%r4, %r4, %r4, %r4}, {%r4, %r4}, {%r5, %r6};`+storeR1,
		func(int) uint32 { return 0x4c404c40 })
}

func TestIntegerSumsWrapOrClamp(t *testing.T) {
	const set = `mov.b32 %r4, 0x7f7f7f7f; mov.b32 %r5, 0x7fffffff; mma.sync.aligned.m16n8k16.row.col`
	const rest = `.s32.s8.s8.s32 {%r1, %r2, %r3, %r6}, {%r4, %r4}, {%r4}, {%r5, %r5, %r5, %r5};` + storeR1
	expectWords(t, 32, "", set+rest, func(int) uint32 { return 0x7fffffff + 16*127*127 })
	expectWords(t, 32, "", set+".satfinite"+rest, func(int) uint32 { return 0x7fffffff })
}

// Hardware drops the low 13 bits of a tf32 operand.
func TestTF32DropsLowBits(t *testing.T) {
	expectWords(t, 32, "", `mov.b32 %r4, 0x3f801fff; mov.b32 %r5, 0; mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%r1, %r2, %r3, %r6}, {%r4, %r4}, {%r4}, {%r5, %r5, %r5, %r5};`+storeR1,
		func(int) uint32 { return math.Float32bits(4) })
}
