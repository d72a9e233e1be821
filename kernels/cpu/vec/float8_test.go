package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
)

// hardTo8 is values up to a largest magnitude: of every size below it, and midways between two values of 8 bits and beside these, down to below the smallest.
func hardTo8(rng *rand.Rand, widen func(uint8) float32, finite uint8, amax float32) []float32 {
	s := kernels.Scale8(kernels.E4M3, amax)
	v := []float32{amax, -amax, 0}
	for range 3000 {
		v = append(v, amax*float32(math.Ldexp(2*rng.Float64()-1, -rng.IntN(40))))
	}
	for i := range finite {
		mid := (widen(i) + widen(i+1)) / 2 / s
		for _, x := range []float32{mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, 2*mid), -mid} {
			if x <= amax && -x <= amax {
				v = append(v, x)
			}
		}
	}
	return v
}

// Rounding agrees with the contract's functions on every set, at all lengths.
func TestRound(t *testing.T) {
	for _, f := range []struct {
		t      kernels.DType
		finite uint8
		widen  func(uint8) float32
		narrow func(float32) uint8
	}{{kernels.E4M3, 0x7e, kernels.F32FromE4M3, kernels.E4M3FromF32}, {kernels.E5M2, 0x7b, kernels.F32FromE5M2, kernels.E5M2FromF32}} {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, amax := range []float32{448, 1.75, 1.7500001, 1, 0.0123, 3e38, 1e-25, 1e-37, 0x1p-149} {
			x, r := hardTo8(rng, f.widen, f.finite, amax), RoundingTo(f.t, amax)
			for _, s := range Sets() {
				y := make([]float32, len(x))
				s.Round(y, x, &r)
				for i, got := range y {
					if want := f.widen(f.narrow(x[i]*r.Scale)) * r.Inverse; got != want {
						t.Fatalf("%s %s, largest %g: %g became %g, want %g", s.Name(), f.t, amax, x[i], got, want)
					}
				}
				for _, n := range lengths {
					z := newField(n, 1)
					s.Round(z.x, x[:n], &r)
					for i := range n {
						if z.x[i] != y[i] {
							t.Fatalf("%s: n %d, element %d is %g, want %g", s.Name(), n, i, z.x[i], y[i])
						}
					}
					if z.broken() {
						t.Fatalf("%s: n %d: wrote outside", s.Name(), n)
					}
				}
			}
		}
		for _, amax := range []float64{math.Inf(1), math.NaN()} {
			r, y := RoundingTo(f.t, float32(amax)), make([]float32, 33)
			for _, s := range Sets() {
				s.Round(y, make([]float32, 33), &r)
				for i, v := range y {
					if v == v {
						t.Fatalf("%s %s, largest %g: element %d became %g", s.Name(), f.t, amax, i, v)
					}
				}
			}
		}
	}
}
