package gemm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHalfRoundTrip(t *testing.T) {
	for h := range 1 << 16 {
		v := uint16(h)
		if f := f16ToF32(v); f == f && f32ToF16(f) != v {
			t.Fatalf("float16 %#04x -> %v -> %#04x", v, f, f32ToF16(f))
		}
		if f := bf16ToF32(v); f == f && f32ToBF16(f) != v {
			t.Fatalf("bfloat16 %#04x -> %v -> %#04x", v, f, f32ToBF16(f))
		}
	}
}

func TestHalfRounding(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tc := range []struct {
		in        float32
		f16, bf16 uint16
	}{
		{0, 0, 0},
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{1 + 0x1p-11, 0x3c00, 0x3f80},           // a tie goes to the even
		{1 + 3*0x1p-11, 0x3c02, 0x3f80},         // and up, if that is even
		{1 + 0x1p-11 + 0x1p-20, 0x3c01, 0x3f80}, // above a tie
		{1 + 0x1p-8, 0x3c04, 0x3f80},
		{1 + 3*0x1p-8, 0x3c0c, 0x3f82},
		{65504, 0x7bff, 0x4780},
		{65519, 0x7bff, 0x4780},
		{65520, 0x7c00, 0x4780},
		{0x1p-24, 0x0001, 0x3380},
		{0x1p-25, 0x0000, 0x3300}, // a tie with zero
		{0x1.8p-25, 0x0001, 0x3340},
		{0x1.ffcp-15, 0x0400, 0x3880}, // a subnormal that rounds up to a normal
		{math.MaxFloat32, 0x7c00, 0x7f80},
		{inf, 0x7c00, 0x7f80},
		{-inf, 0xfc00, 0xff80},
	} {
		if got := f32ToF16(tc.in); got != tc.f16 {
			t.Errorf("float16(%v) = %#04x, want %#04x", tc.in, got, tc.f16)
		}
		if got := f32ToBF16(tc.in); got != tc.bf16 {
			t.Errorf("bfloat16(%v) = %#04x, want %#04x", tc.in, got, tc.bf16)
		}
	}
	if v := f16ToF32(f32ToF16(nan)); v == v {
		t.Errorf("float16 of NaN is %v", v)
	}
	// Rounding must not carry a NaN of low bits only to infinity.
	if v := bf16ToF32(f32ToBF16(math.Float32frombits(0x7f80ffff))); v == v {
		t.Errorf("bfloat16 of NaN is %v", v)
	}
}

// Every engine's row conversions agree with the portable ones, bit by bit; where bfloat16 is multiplied as such, zero may stand for a subnormal.
func TestRowOps(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 0))
	for _, list := range variants {
		for _, e := range list {
			checkStores(t, e, rng)
			checkAdds(t, e)
		}
	}
}

func checkStores(t *testing.T, e *engine, rng *rand.Rand) {
	t.Helper()
	for _, n := range []int{0, 1, 7, 8, 9, 1021} {
		acc := make([]float32, n)
		for i := range acc {
			acc[i] = math.Float32frombits(rng.Uint32())
			if i%3 == 0 {
				acc[i] = float32(rng.NormFloat64())
			}
		}
		got, want := make([]uint16, n), make([]uint16, n)
		e.row.storeBF16(got, acc)
		storeBF16Go(want, acc)
		for i, w := range want {
			if e.name == "avx512bf16" && w&0x7f80 == 0 && got[i]&0x7fff == 0 {
				want[i] = got[i]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: storeBF16 of %d differs", e.name, n)
		}
		e.row.storeF16(got, acc)
		if storeF16Go(want, acc); !slices.Equal(got, want) {
			t.Errorf("%s: storeF16 of %d differs", e.name, n)
		}
	}
}

func checkAdds(t *testing.T, e *engine) {
	t.Helper()
	halves := make([]uint16, 1<<16-3)
	for i := range halves {
		halves[i] = uint16(i)
	}
	got, want := make([]float32, len(halves)), make([]float32, len(halves))
	same := func(a, b float32) bool { return a == b || a != a && b != b }
	e.row.addF16(got, halves)
	if addF16Go(want, halves); !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: addF16 differs", e.name)
	}
	clear(got)
	clear(want)
	e.row.addBF16(got, halves)
	if addBF16Go(want, halves); !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: addBF16 differs", e.name)
	}
}
