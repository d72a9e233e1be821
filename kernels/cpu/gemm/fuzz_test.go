package gemm

import (
	"math/rand/v2"
	"testing"

	"ofpeak/kernels/cpu/team"
)

// FuzzMultiply draws shapes, layouts and values from a seed and checks every
// variant of every type.
func FuzzMultiply(f *testing.F) {
	f.Add(uint64(1), uint16(1), uint16(1), uint16(1), uint8(0))
	f.Add(uint64(2), uint16(49), uint16(65), uint16(33), uint8(0xff))
	f.Add(uint64(3), uint16(8), uint16(48), uint16(2600), uint8(0x15))
	f.Add(uint64(4), uint16(2), uint16(1200), uint16(9), uint8(0x2a))
	tm := team.NewUnpinned(2)
	f.Cleanup(tm.Close)
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16, flags uint8) {
		s := shape{
			m: int(m % 100), n: int(n % 1300), k: int(k % 2700),
			transA: flags&1 != 0, transB: flags&2 != 0, accumulate: flags&4 != 0, extra: int(flags >> 4 & 7),
		}
		if s.m*s.n*s.k > 1<<21 {
			t.Skip("takes too long")
		}
		ctx := NewContext(tm)
		for _, in := range []Type{F32, BF16, F16, I8} {
			out := outputs(in)[int(seed%uint64(len(outputs(in))))]
			s.scales = in == I8 && out != I32 && flags&8 != 0
			for _, v := range Variants(in) {
				if err := ctx.Select(in, v); err != nil {
					t.Fatal(err)
				}
				checkProduct(t, ctx, rand.New(rand.NewPCG(seed, 0)), in, out, s)
			}
		}
	})
}

// FuzzSparse checks the sparse products likewise.
func FuzzSparse(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(1), uint8(1), uint8(0))
	f.Add(uint64(2), uint8(129), uint8(17), uint8(60), uint8(3))
	f.Add(uint64(3), uint8(40), uint8(200), uint8(9), uint8(1))
	tm := team.NewUnpinned(2)
	f.Cleanup(tm.Close)
	f.Fuzz(func(t *testing.T, seed uint64, n, oc, c, extra uint8) {
		ctx := NewContext(tm)
		in, out := floats[seed%3], floats[seed/3%3]
		for _, v := range Variants(in) {
			if err := ctx.Select(in, v); err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(seed, 0))
			check24(t, ctx, rng, in, out, int(n%200)+1, int(oc)+1, 4*(int(c%64)+1), int(extra%9))
			block := 16 * (1 + int(oc%5))
			rows, cols := 1+int(oc%3), 1+int(c%4)
			keep := 1 + rng.IntN(cols)
			checkBlock(t, ctx, rng, in, out, int(n%50)+1, rows*block, cols*block, block, keep, int(extra%9))
		}
	})
}
