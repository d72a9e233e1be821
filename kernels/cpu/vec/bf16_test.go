package vec

import (
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
)

func eachBF16(t *testing.T, f func(s *Set, rng *rand.Rand)) {
	ran := false
	for _, s := range Sets() {
		if s.HasBF16() {
			ran = true
			f(s, rand.New(rand.NewPCG(10, 11)))
		}
	}
	if !ran {
		t.Skip("no AVX512_BF16 here")
	}
}

// Pairs of bfloat16 multiply as the float32 values that they stand for.
func TestPanelBF16(t *testing.T) {
	eachBF16(t, func(s *Set, rng *rand.Rand) {
		for _, n := range []int{16, 48, 64, 96, 128} {
			const k = 5 // pairs
			c, a, b := newField(PanelRows*n, 1), newField(PanelRows*k, 1), newField(k*n, 3)
			x, y := make([]uint16, PanelRows*2*k), make([]uint16, 2*k*n)
			for i := range x {
				x[i] = kernels.BF16FromF32(float32(rng.NormFloat64()))
			}
			for i := range y {
				y[i] = kernels.BF16FromF32(float32(rng.NormFloat64()))
			}
			for i := range PanelRows * k {
				a.x[i] = math.Float32frombits(uint32(x[2*i]) | uint32(x[2*i+1])<<16)
			}
			s.Weave(b.x, n, y, n, 2*k, n)
			s.PanelBF16(c.x, n, a.x, k, 1, b.x, n, n, k, false)
			for i, got := range c.x {
				var want, largest float64
				for l := range 2 * k {
					v := float64(kernels.F32FromBF16(x[i/n*2*k+l])) * float64(kernels.F32FromBF16(y[l*n+i%n]))
					want += v
					largest += math.Abs(v)
				}
				if !close(got, want, largest, 4) {
					t.Fatalf("n %d: element %d is %g, want %g", n, i, got, want)
				}
			}
			if c.broken() {
				t.Fatalf("n %d: wrote outside", n)
			}
		}
	})
}

// near tells whether a bfloat16 is a value rounded, or its neighbour.
func near(got uint16, want float64) bool {
	return math.Abs(float64(kernels.F32FromBF16(got))-want) <= kernels.BF16.Eps()*(math.Abs(want)+0x1p-126)*0.51
}

func TestSoftmaxBF16(t *testing.T) {
	eachBF16(t, func(s *Set, rng *rand.Rand) {
		const scale = 0.75
		for _, n := range lengths[1:] {
			for _, top := range []float32{float32(math.Inf(-1)), 75, 88, 98} {
				x, dst := random(rng, n, n%5, 2, 120), make([]uint16, (n+15)/16*16+2)
				want := newTop(x.x, scale, top)
				dst[len(dst)-1], dst[0] = 7, 7
				got, sum := s.SoftmaxBF16(dst[1:], x.x, scale, top)
				total := 0.0
				for i, h := range dst[1 : len(dst)-1] {
					e := 0.0
					if i < n {
						e = math.Exp(scale*float64(x.x[i]) - float64(want))
					}
					total += e
					if !near(h, e) {
						t.Fatalf("n %d, top %g: element %d is %g, want %g", n, top, i, kernels.F32FromBF16(h), e)
					}
				}
				if got != want || math.Abs(float64(sum)-total) > 2e-5*total || dst[0] != 7 || dst[len(dst)-1] != 7 || x.broken() {
					t.Fatalf("n %d, top %g: got %g and %g, want %g and %g, or wrote outside", n, top, got, sum, want, total)
				}
			}
		}
		x := []float32{1, float32(math.NaN())}
		if _, sum := s.SoftmaxBF16(make([]uint16, 16), x, 1, 0); sum == sum {
			t.Errorf("a NaN became %g", sum)
		}
	})
}

func TestScoreGradBF16(t *testing.T) {
	eachBF16(t, func(s *Set, rng *rand.Rand) {
		const scale, shift, d = 0.5, 59, 0.25
		for _, n := range lengths {
			x, dx := random(rng, n, n%5, 1, 120), random(rng, n, 3, 1, 0)
			room := (n + 15) / 16 * 16
			p, dp := make([]uint16, room+2), make([]uint16, room+2)
			p[0], p[room+1], dp[0], dp[room+1] = 7, 7, 7, 7
			s.ScoreGradBF16(p[1:room+1], dp[1:room+1], x.x, dx.x, scale, shift, d)
			for i := range room {
				e, g := 0.0, 0.0
				if i < n {
					e = math.Exp(scale*float64(x.x[i]) - shift)
					g = scale * e * (float64(dx.x[i]) - d)
				}
				if !near(p[i+1], e) || !near(dp[i+1], g) {
					t.Fatalf("n %d: element %d is %g and %g, want %g and %g", n, i, kernels.F32FromBF16(p[i+1]), kernels.F32FromBF16(dp[i+1]), e, g)
				}
			}
			if p[0] != 7 || p[room+1] != 7 || dp[0] != 7 || dp[room+1] != 7 || x.broken() || dx.broken() {
				t.Fatalf("n %d: wrote outside", n)
			}
		}
		for name, f := range map[string]func(){
			"room": func() { s.SoftmaxBF16(make([]uint16, 15), make([]float32, 2), 1, 0) },
			"scores": func() {
				s.ScoreGradBF16(make([]uint16, 16), make([]uint16, 16), make([]float32, 2), make([]float32, 1), 1, 0, 0)
			},
			"no room": func() { s.ScoreGradBF16(make([]uint16, 16), nil, make([]float32, 2), make([]float32, 2), 1, 0, 0) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				f()
			}()
		}
	})
}
