package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
)

// Every 16-bit value widens as the contract's function does it; NaNs may become quiet.
func TestWidenAll(t *testing.T) {
	x, y := make([]uint16, 1<<16), make([]float32, 1<<16)
	for i := range x {
		x[i] = uint16(i)
	}
	for _, s := range Sets() {
		for name, f := range map[string]struct {
			run  func([]float32, []uint16)
			want func(uint16) float32
		}{"F16": {s.FromF16, kernels.F32FromF16}, "BF16": {s.FromBF16, kernels.F32FromBF16}} {
			f.run(y, x)
			for i, got := range y {
				if want := f.want(x[i]); math.Float32bits(got) != math.Float32bits(want) && (want == want || got == got) {
					t.Fatalf("%s %s %#04x: got %g, want %g", s.Name(), name, x[i], got, want)
				}
			}
		}
	}
}

// Narrowing agrees bit for bit with the contract's functions: near every 16-bit value, on random bits and at all lengths.
func TestNarrow(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, s := range Sets() {
		for name, f := range map[string]struct {
			run  func([]uint16, []float32)
			want func(float32) uint16
			back func(uint16) float32
		}{"F16": {s.ToF16, kernels.F16FromF32, kernels.F32FromF16}, "BF16": {s.ToBF16, kernels.BF16FromF32, kernels.F32FromBF16}} {
			var x []float32
			for h := range 1 << 16 {
				b := math.Float32bits(f.back(uint16(h)))
				for _, d := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xfff, 0x1000, 0x1001} {
					x = append(x, math.Float32frombits(b+d))
				}
			}
			for range 1 << 16 {
				x = append(x, math.Float32frombits(rng.Uint32()))
			}
			y := make([]uint16, len(x))
			f.run(y, x)
			for i, got := range y {
				if want := f.want(x[i]); got != want {
					t.Fatalf("%s %s %g (%#08x): got %#04x, want %#04x", s.Name(), name, x[i], math.Float32bits(x[i]), got, want)
				}
			}
			for _, n := range lengths {
				y := make([]uint16, n+2)
				f.run(y[1:n+1], x[1:n+1])
				for i := range n {
					if y[i+1] != f.want(x[i+1]) {
						t.Fatalf("%s %s: n %d, element %d is wrong", s.Name(), name, n, i)
					}
				}
				if y[0] != 0 || y[n+1] != 0 {
					t.Fatalf("%s %s: n %d: wrote outside", s.Name(), name, n)
				}
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		x := random(rng, n, off, 40, 0)
		for i := range x.x {
			x.x[i] = float32(math.Round(float64(x.x[i])*2) / 2) // ties
		}
		all := make([]int8, n+2)
		s.Quantize(all[1:n+1], x.x, 1)
		for i, v := range x.x {
			if want := int8(max(-127, min(127, math.RoundToEven(float64(v))))); all[i+1] != want {
				t.Fatalf("n %d: %g became %d, want %d", n, v, all[i+1], want)
			}
		}
		if all[0] != 0 || all[n+1] != 0 {
			t.Fatalf("n %d: wrote outside", n)
		}
	})
}
