package simt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ofpeak/kernels"
)

// sparseWords places integers in the fragments of mma.sp.m16n8k32 as the ISA's figures show: of each lane four registers of A's stored values, four of B, and its metadata. Lanes that do not
// contribute metadata get such as would be wrong. pairs are the two positions of every four columns of A.
func sparseWords(a *[16][32]int, b *[32][8]int, pairs *[16][8][2]int, selector int, encode func(int) uint32) []uint32 {
	words := make([]uint32, 0, 32*9)
	for l := range 32 {
		g, tig := l/4, l%4
		for i := range 4 { // rows g and g+8 of columns 4·tig to 4·tig+3, then of those 16 further
			row, group := g+8*(i&1), tig+4*(i>>1)
			at := pairs[row][group]
			words = append(words, encode(a[row][4*group+at[0]])|encode(a[row][4*group+at[1]])<<16)
		}
		for i := range 4 {
			words = append(words, encode(b[2*tig+8*i][g])|encode(b[2*tig+8*i+1][g])<<16)
		}
		var meta uint32
		for i := range 4 {
			if tig/2 == selector {
				lo, hi := pairs[g][4*(tig%2)+i], pairs[g+8][4*(tig%2)+i]
				meta |= uint32(lo[0]|lo[1]<<2)<<(4*i) | uint32(hi[0]|hi[1]<<2)<<(4*i+16)
			}
		}
		words = append(words, meta)
	}
	return words
}

func TestSparseMatrixMultiply(t *testing.T) {
	for name, encode := range map[string]func(int) uint32{
		"f16":  func(x int) uint32 { return uint32(kernels.F16FromF32(float32(x))) },
		"bf16": func(x int) uint32 { return uint32(kernels.BF16FromF32(float32(x))) },
	} {
		for selector := range 2 {
			r := rand.New(rand.NewPCG(7, uint64(selector)))
			var a [16][32]int
			var b [32][8]int
			var pairs [16][8][2]int
			for row := range a {
				for group := range pairs[row] {
					first := r.IntN(3)
					pairs[row][group] = [2]int{first, first + 1 + r.IntN(3-first)}
					for _, at := range pairs[row][group] {
						a[row][4*group+at] = r.IntN(15) - 7
					}
				}
			}
			for k := range b {
				for col := range b[k] {
					b[k][col] = r.IntN(15) - 7
				}
			}
			c := mmaCase{op: "m16n8k32.row.col.f32." + name + "." + name + ".f32", sparse: fmt.Sprintf(", %%r12, %d", selector)}
			got := runMMA(t, c, sparseWords(&a, &b, &pairs, selector, encode), 4, 4)
			for l := range 32 {
				for i := range 4 {
					row, col, want := l/4+i/2*8, l%4*2+i%2, float32(100)
					for k := range 32 {
						want += float32(a[row][k] * b[k][col])
					}
					if v := math.Float32frombits(got[4*l+i]); v != want {
						t.Fatalf("%s, selector %d: element (%d,%d) is %g, want %g", c.op, selector, row, col, v, want)
					}
				}
			}
		}
	}
}

func TestSparseMatrixMultiplyRefuses(t *testing.T) {
	const code = "mma.sp.sync.aligned.m16n8k32.row.col.f32.%s.%s.f32 {%%r1,%%r2,%%r3,%%r4}, {%%r1,%%r1,%%r1,%%r1}, {%%r1,%%r1,%%r1,%%r1}, {%%r1,%%r1,%%r1,%%r1}, %%r0, %s;"
	for _, c := range []struct{ elem, selector, want string }{
		{"f16", "2", "selector must be 0 or 1"}, {"f16", "%r1", "selector must be 0 or 1"}, {"tf32", "0", "16-bit types"},
	} {
		_, err := compileText(evalCode(fmt.Sprintf(code, c.elem, c.elem, c.selector), "%r1"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with selector %s: got %v", c.elem, c.selector, err)
		}
	}
	// Zero is no pair of positions.
	k := mustCompile(t, evalCode("mov.b32 %r0, 0;"+fmt.Sprintf(code, "f16", "f16", "0"), "%r1"))
	m := NewMemory(1<<40, 1<<20)
	in, out := upload(t, m, make([]byte, 32*32)), upload(t, m, make([]byte, 8*32))
	_, err := k.Run(m, Launch{Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Params: []uint64{in, out}}, Options{})
	if err == nil || !strings.Contains(err.Error(), "do not ascend") {
		t.Errorf("got %v", err)
	}
}
