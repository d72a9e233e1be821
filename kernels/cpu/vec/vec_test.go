package vec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// lengths around every vector length and unrolled block, and some longer ones.
var lengths = []int{0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 128, 129, 255, 1000, 1031}

// field is memory with guards around a slice that starts off floats past a cache line.
type field struct {
	all []float32
	x   []float32
}

const guard = 1.25e30

func newField(n, off int) field {
	all := make([]float32, n+off+32)
	for i := range all {
		all[i] = guard
	}
	f := field{all: all, x: all[16+off:][:n]}
	clear(f.x)
	return f
}

// broken tells whether something outside of the slice was written.
func (f field) broken() bool {
	lo := (uintptr(unsafe.Pointer(unsafe.SliceData(f.x))) - uintptr(unsafe.Pointer(&f.all[0]))) / 4
	for i, v := range f.all {
		if (uintptr(i) < lo || uintptr(i) >= lo+uintptr(len(f.x))) && v != guard {
			return true
		}
	}
	return false
}

func random(rng *rand.Rand, n, off int, scale, mean float64) field {
	f := newField(n, off)
	for i := range f.x {
		f.x[i] = float32(rng.NormFloat64()*scale + mean)
	}
	return f
}

// close tells whether got is want within so many units in the last place of the largest term.
func close(got float32, want, largest, ulps float64) bool {
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return math.IsNaN(float64(got)) == math.IsNaN(want) && (math.IsNaN(want) || float64(got) == want)
	}
	return math.Abs(float64(got)-want) <= ulps*0x1p-23*max(math.Abs(want), largest)+0x1p-149
}

// eachCase runs f for every set, length and offset.
func eachCase(t *testing.T, f func(t *testing.T, s *Set, rng *rand.Rand, n, off int)) {
	for _, s := range Sets() {
		t.Run(s.Name(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for _, n := range lengths {
				for _, off := range []int{0, 1, 5} {
					f(t, s, rng, n, off)
				}
			}
		})
	}
}

func TestMaps(t *testing.T) {
	const a, b = 1.7, -0.3
	maps := []struct {
		name string
		run  func(s *Set, dst, x, y []float32)
		want func(dst, x, y float64) float64
	}{
		{"Add", func(s *Set, dst, x, y []float32) { s.Add(dst, x, y) }, func(_, x, y float64) float64 { return x + y }},
		{"Mul", func(s *Set, dst, x, y []float32) { s.Mul(dst, x, y) }, func(_, x, y float64) float64 { return x * y }},
		{"Scale", func(s *Set, dst, x, _ []float32) { s.Scale(dst, x, a) }, func(_, x, _ float64) float64 { return float64(float32(a)) * x }},
		{"Axpy", func(s *Set, dst, x, _ []float32) { s.Axpy(dst, x, a) }, func(d, x, _ float64) float64 { return d + float64(float32(a))*x }},
		{"GELU", func(s *Set, dst, x, _ []float32) { s.GELU(dst, x) }, func(_, x, _ float64) float64 { return gelu64(x) }},
		{"GELUGrad", func(s *Set, dst, x, y []float32) { s.GELUGrad(dst, x, y) }, func(_, x, y float64) float64 { return x * geluGrad64(y) }},
		{"SoftmaxGrad", func(s *Set, dst, x, y []float32) { s.SoftmaxGrad(dst, x, y, b, a) },
			func(_, x, y float64) float64 { return float64(float32(a)) * x * (y - float64(float32(b))) }},
		{"SqDiff", func(s *Set, dst, x, y []float32) { s.SqDiff(dst, x, y, a) }, func(_, x, y float64) float64 { return float64(float32(a)) * (x - y) }},
		{"Normalize", func(s *Set, dst, x, y []float32) { s.Normalize(dst, x, y, x, b, a) },
			func(_, x, y float64) float64 { return (x-float64(float32(b)))*float64(float32(a))*y + x }},
	}
	for _, m := range maps {
		t.Run(m.name, func(t *testing.T) {
			eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
				dst, x, y := random(rng, n, off, 1, 0), random(rng, n, 0, 2, 0), random(rng, n, 3, 2, 0)
				if n > 20 {
					x.x[3], x.x[n-2] = float32(math.NaN()), float32(math.Inf(1))
				}
				old := append([]float32{}, dst.x...)
				m.run(s, dst.x, x.x, y.x)
				for i, got := range dst.x {
					d, xi, yi := float64(old[i]), float64(x.x[i]), float64(y.x[i])
					terms := max(math.Abs(d), math.Abs(xi), math.Abs(yi), math.Abs(xi*yi))
					if want := m.want(d, xi, yi); !close(got, want, terms, 4) {
						t.Fatalf("n %d, offset %d, element %d: got %g, want %g", n, off, i, got, want)
					}
				}
				if dst.broken() || x.broken() || y.broken() {
					t.Fatalf("n %d, offset %d: wrote outside", n, off)
				}
				inPlace := append([]float32{}, x.x...)
				if m.name != "Axpy" {
					m.run(s, inPlace, inPlace, y.x)
					for i := range inPlace {
						if math.Float32bits(inPlace[i]) != math.Float32bits(dst.x[i]) && dst.x[i] == dst.x[i] {
							t.Fatalf("n %d: in place, element %d: got %g, want %g", n, i, inPlace[i], dst.x[i])
						}
					}
				}
			})
		})
	}
}

func gelu64(x float64) float64 {
	if x == math.Inf(1) {
		return x
	}
	return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func geluGrad64(x float64) float64 {
	k := math.Sqrt(2 / math.Pi)
	th := math.Tanh(k * (x + 0.044715*x*x*x))
	return 0.5*(1+th) + 0.5*x*(1-th*th)*k*(1+3*0.044715*x*x)
}

func TestSums(t *testing.T) {
	const mean, rstd = 100.25, 0.7
	sums := []struct {
		name string
		run  func(s *Set, x, y []float32) float32
		term func(x, y float64) float64
	}{
		{"Sum", func(s *Set, x, _ []float32) float32 { return s.Sum(x) }, func(x, _ float64) float64 { return x }},
		{"Dot", func(s *Set, x, y []float32) float32 { return s.Dot(x, y) }, func(x, y float64) float64 { return x * y }},
		{"SumSqDev", func(s *Set, x, _ []float32) float32 { return s.SumSqDev(x, mean) }, func(x, _ float64) float64 { return (x - mean) * (x - mean) }},
		{"SqDiff", func(s *Set, x, y []float32) float32 { return s.SqDiff(make([]float32, len(x)), x, y, 1) },
			func(x, y float64) float64 { return (x - y) * (x - y) }},
		{"NormSums a", func(s *Set, x, y []float32) float32 { a, _ := s.NormSums(x, y, y, mean, rstd); return a }, func(x, y float64) float64 { return x * y }},
		{"NormSums b", func(s *Set, x, y []float32) float32 { _, b := s.NormSums(x, y, y, mean, rstd); return b },
			func(x, y float64) float64 { return x * y * (y - mean) * float64(float32(rstd)) }},
	}
	for _, m := range sums {
		t.Run(m.name, func(t *testing.T) {
			eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
				x, y := random(rng, n, off, 1, 100), random(rng, n, 3, 1, 100)
				var want, largest float64
				for i := range x.x {
					v := m.term(float64(x.x[i]), float64(y.x[i]))
					want += v
					largest += math.Abs(v)
				}
				if got := m.run(s, x.x, y.x); !close(got, want, largest, 2+math.Sqrt(float64(n))) {
					t.Fatalf("n %d, offset %d: got %g, want %g", n, off, got, want)
				}
				if n > 0 {
					x.x[n-1] = float32(math.NaN())
					if got := m.run(s, x.x, y.x); got == got {
						t.Fatalf("n %d: a NaN became %g", n, got)
					}
				}
			})
		})
	}
}

func TestExtremes(t *testing.T) {
	inf := float32(math.Inf(1))
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		x := random(rng, n, off, 1, -50)
		top, abs := -inf, float32(0)
		for _, v := range x.x {
			top, abs = max(top, v), max(abs, v, -v)
		}
		if got := s.Max(x.x); got != top {
			t.Fatalf("n %d: Max %g, want %g", n, got, top)
		}
		if got := s.AbsMax(x.x); got != abs {
			t.Fatalf("n %d: AbsMax %g, want %g", n, got, abs)
		}
		if !s.Finite(x.x) {
			t.Fatalf("n %d: finite values are not", n)
		}
		for _, bad := range []float32{inf, -inf, float32(math.NaN()), math.Float32frombits(0xffc00001), math.Float32frombits(0x7f800001)} {
			for _, i := range []int{0, n / 2, n - 1} {
				if n == 0 {
					continue
				}
				kept := x.x[i]
				if x.x[i] = bad; s.Finite(x.x) {
					t.Fatalf("n %d: %g at %d was not seen", n, bad, i)
				}
				x.x[i] = kept
			}
		}
	})
}

// exp is within 2 units in the last place everywhere, down to the smallest subnormals.
func TestExpSweep(t *testing.T) {
	for _, s := range Sets() {
		const n = 1 << 12
		x, y := make([]float32, n), make([]float32, n)
		worst := 0.0
		for lo := -110.0; lo < 95; lo += 0.5 {
			for i := range x {
				x[i] = float32(lo + 0.5*float64(i)/n)
			}
			s.ExpSum(y, x, 1, 0)
			for i, got := range y {
				want := math.Exp(float64(x[i]))
				if want > math.MaxFloat32 {
					if !math.IsInf(float64(got), 1) && want > math.MaxFloat32*(1+0x1p-24) {
						t.Fatalf("%s: exp(%g) = %g, want +Inf", s.Name(), x[i], got)
					}
					continue
				}
				ulp := max(0x1p-149, math.Ldexp(1, int(math.Floor(math.Log2(want)))-23))
				worst = max(worst, math.Abs(float64(got)-want)/ulp)
			}
		}
		if worst > 2 {
			t.Errorf("%s: error of %.2f units in the last place", s.Name(), worst)
		}
		for in, want := range map[float32]float32{0: 1, float32(math.Inf(-1)): 0, float32(math.Inf(1)): float32(math.Inf(1)), -1e30: 0, 1e30: float32(math.Inf(1))} {
			if s.ExpSum(y[:3], []float32{in, in, in}, 1, 0); y[0] != want || y[2] != want {
				t.Errorf("%s: exp(%g) = %g, want %g", s.Name(), in, y[0], want)
			}
		}
	}
}

func TestExpSum(t *testing.T) {
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		x, dst := random(rng, n, off, 1, 120), newField(n, 3)
		sum := s.ExpSum(dst.x, x.x, 0.5, 60)
		want := 0.0
		for i, got := range dst.x {
			e := math.Exp(0.5*float64(x.x[i]) - 60)
			want += e
			if !close(got, e, 0, 8) {
				t.Fatalf("n %d: element %d: got %g, want %g", n, i, got, e)
			}
		}
		if !close(sum, want, 0, 8+math.Sqrt(float64(n))) || dst.broken() {
			t.Fatalf("n %d: sum %g, want %g; wrote outside: %t", n, sum, want, dst.broken())
		}
	})
}

// GELU and its derivative over every magnitude, tails included, where x itself or 0 is the limit.
func TestGELUSweep(t *testing.T) {
	for _, s := range Sets() {
		var x []float32
		for v := -14.0; v < 14; v += 0x1p-9 {
			x = append(x, float32(v))
		}
		x = append(x, 1e10, 3e38, -1e10, -3e38, 1e-30, -1e-30)
		y, d, ones := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
		for i := range ones {
			ones[i] = 1
		}
		s.GELU(y, x)
		s.GELUGrad(d, ones, x)
		for i, v := range x {
			// Below -9 the result is under 1e-17 of x; there the exponent's rounding costs some digits.
			want, slope := gelu64(float64(v)), geluGrad64(float64(v))
			if math.IsNaN(slope) || math.Abs(float64(v)) > 1e9 {
				slope = max(0, math.Copysign(1, float64(v)))
			}
			if math.Abs(float64(y[i])-want) > 1e-5*math.Abs(want)+1e-30 || math.Abs(float64(d[i])-slope) > 1e-6 {
				t.Fatalf("%s: gelu(%g) = %g, want %g; derivative %g, want %g", s.Name(), v, y[i], want, d[i], slope)
			}
		}
	}
}

func TestNormGrad(t *testing.T) {
	const mean, rstd, a, b = 99.5, 0.8, 0.1, -0.2
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		dx, dgain, dbias := newField(n, off), random(rng, n, 1, 1, 0), random(rng, n, 2, 1, 0)
		dout, x, gain := random(rng, n, off, 1, 0), random(rng, n, 3, 1, 100), random(rng, n, 0, 1, 0)
		oldGain, oldBias := append([]float32{}, dgain.x...), append([]float32{}, dbias.x...)
		s.NormGrad(dx.x, dgain.x, dbias.x, dout.x, x.x, gain.x, mean, rstd, a, b)
		for i := range dx.x {
			d, h := float64(dout.x[i]), (float64(x.x[i])-mean)*float64(float32(rstd))
			for _, c := range []struct{ got, want float64 }{
				{float64(dgain.x[i]), float64(oldGain[i]) + d*h},
				{float64(dbias.x[i]), float64(oldBias[i]) + d},
				{float64(dx.x[i]), float64(float32(rstd)) * (d*float64(gain.x[i]) - float64(float32(a)) - h*float64(float32(b)))},
			} {
				if !close(float32(c.got), c.want, 1+math.Abs(d*h)+math.Abs(d*float64(gain.x[i])), 4) {
					t.Fatalf("n %d: element %d: got %g, want %g", n, i, c.got, c.want)
				}
			}
		}
		if dx.broken() || dgain.broken() || dbias.broken() {
			t.Fatalf("n %d: wrote outside", n)
		}
	})
}

func TestAdamW(t *testing.T) {
	c := AdamW{Beta1: 0.9, OneBeta1: 0.1, Beta2: 0.999, OneBeta2: 0.001, GradScale: 0.25, Step: 0.01, VScale: 3, Eps: 1e-8, Decay: 1e-3}
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		w, m, v, g := random(rng, n, off, 1, 0), random(rng, n, 1, 1, 0), random(rng, n, 2, 1e-20, 3e-20), random(rng, n, 3, 1e-9, 0)
		old := [][]float32{append([]float32{}, w.x...), append([]float32{}, m.x...), append([]float32{}, v.x...)}
		for i := range v.x {
			v.x[i] = max(v.x[i], 0)
			old[2][i] = v.x[i]
		}
		s.AdamW(w.x, m.x, v.x, g.x, &c)
		for i := range w.x {
			d := float64(c.GradScale) * float64(g.x[i])
			m1 := float64(c.Beta1)*float64(old[1][i]) + float64(c.OneBeta1)*d
			v1 := float64(c.Beta2)*float64(old[2][i]) + float64(c.OneBeta2)*d*d
			step := float64(c.Step) * m1 / (math.Sqrt(v1)*float64(c.VScale) + float64(c.Eps))
			w1 := float64(old[0][i]) - step - float64(c.Decay)*float64(old[0][i])
			if !close(m.x[i], m1, math.Abs(float64(old[1][i])), 2) || !close(v.x[i], v1, 0, 4) || !close(w.x[i], w1, math.Abs(step)+1, 8) {
				t.Fatalf("n %d: element %d: got %g %g %g, want %g %g %g", n, i, w.x[i], m.x[i], v.x[i], w1, m1, v1)
			}
		}
		if w.broken() || m.broken() || v.broken() || g.broken() {
			t.Fatalf("n %d: wrote outside", n)
		}
	})
}

func TestPanel(t *testing.T) {
	for _, s := range Sets() {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, n := range []int{16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192} {
			for _, k := range []int{1, 2, 7, 64} {
				for _, flip := range []bool{false, true} {
					for _, add := range []bool{false, true} {
						checkPanel32(t, s, rng, n, k, flip, add)
					}
				}
			}
		}
	}
}

func checkPanel32(t *testing.T, s *Set, rng *rand.Rand, n, k int, flip, add bool) {
	t.Helper()
	ldc, ldb, ars, acs := n+5, n+3, k+2, 1
	if flip {
		ars, acs = 1, PanelRows+1
	}
	c := random(rng, (PanelRows-1)*ldc+n, 1, 1, 0)
	a, b := random(rng, (PanelRows-1)*ars+(k-1)*acs+1, 3, 1, 0), random(rng, (k-1)*ldb+n, 1, 1, 0)
	old := append([]float32{}, c.x...)
	s.Panel(c.x, ldc, a.x, ars, acs, b.x, ldb, n, k, add)
	for i, got := range c.x {
		row, col := i/ldc, i%ldc
		want, largest := float64(old[i]), math.Abs(float64(old[i]))
		if col < n {
			if !add {
				want = 0
			}
			for l := range k {
				p := float64(a.x[row*ars+l*acs]) * float64(b.x[l*ldb+col])
				want += p
				largest += math.Abs(p)
			}
		}
		if !close(got, want, largest, 4) || col >= n && got != old[i] {
			t.Fatalf("%s: n %d, k %d, transposed %t, add %t: element (%d, %d): got %g, want %g", s.Name(), n, k, flip, add, row, col, got, want)
		}
	}
	if c.broken() {
		t.Fatalf("%s: n %d, k %d: wrote outside", s.Name(), n, k)
	}
}

func TestShortOperandsPanic(t *testing.T) {
	x, y := make([]float32, 8), make([]float32, 7)
	c := make([]float32, PanelRows*PanelCols)
	for name, f := range map[string]func(s *Set){
		"Add":           func(s *Set) { s.Add(x, x, y) },
		"Dot":           func(s *Set) { s.Dot(x, y) },
		"AdamW":         func(s *Set) { s.AdamW(x, x, x, y, &AdamW{}) },
		"ToF16":         func(s *Set) { s.ToF16(make([]uint16, 8), y) },
		"Panel columns": func(s *Set) { s.Panel(c, 16, c, 1, 1, c, 16, 15, 1, false) },
		"Panel depth":   func(s *Set) { s.Panel(c, 16, c, 1, 1, c, 16, 16, 0, false) },
		"Panel c":       func(s *Set) { s.Panel(c[1:], 16, c, 1, 1, c, 16, 16, 1, false) },
	} {
		for _, s := range Sets() {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s %s: no panic", s.Name(), name)
					}
				}()
				f(s)
			}()
		}
	}
}

func TestNames(t *testing.T) {
	names := ""
	for _, s := range Sets() {
		names += fmt.Sprint(s.Name(), " ")
		if Of(s.Level()) != s {
			t.Errorf("Of(%v) is %s", s.Level(), Of(s.Level()).Name())
		}
	}
	if len(names) < 3 || names[:3] != "go " {
		t.Errorf("sets are %q, want the portable one first", names)
	}
}

func TestSoftmax(t *testing.T) {
	eachCase(t, func(t *testing.T, s *Set, rng *rand.Rand, n, off int) {
		const scale = 0.75
		for _, top := range []float32{float32(math.Inf(-1)), 75, 88, 98} {
			x := random(rng, n, off, 2, 120)
			if n == 0 && top < 0 {
				continue // no largest element
			}
			old, want := append([]float32{}, x.x...), float64(newTop(x.x, scale, top))
			got, sum := s.Softmax(x.x, scale, top)
			if float64(got) != want {
				t.Fatalf("n %d, top %g: the largest is %g, want %g", n, top, got, want)
			}
			total := 0.0
			for i, v := range x.x {
				e := math.Exp(scale*float64(old[i]) - want)
				total += e
				if !close(v, e, 0, 64) { // the rounding of the product by scale, near 90
					t.Fatalf("n %d, top %g: element %d: got %g, want %g", n, top, i, v, e)
				}
			}
			if !close(sum, total, 0, 64+math.Sqrt(float64(n))) || x.broken() {
				t.Fatalf("n %d, top %g: sum %g, want %g; wrote outside: %t", n, top, sum, total, x.broken())
			}
		}
		if n > 0 {
			x := random(rng, n, off, 1, 0)
			x.x[n-1] = float32(math.NaN())
			if _, sum := s.Softmax(x.x, 1, 0); sum == sum {
				t.Fatalf("n %d: a NaN became %g", n, sum)
			}
		}
	})
}

// newTop is the largest score, unless it is at most Slack above top.
func newTop(x []float32, scale, top float32) float32 {
	if len(x) > 0 && scale*slices.Max(x) > top+Slack {
		return scale * slices.Max(x)
	}
	return top
}

func TestTranspose(t *testing.T) {
	for _, s := range Sets() {
		rng := rand.New(rand.NewPCG(8, 9))
		for _, size := range [][2]int{{8, 8}, {16, 8}, {8, 24}, {96, 80}, {128, 64}} {
			rows, cols := size[0], size[1]
			src, dst := random(rng, (rows-1)*(cols+3)+cols, 1, 1, 0), random(rng, (cols-1)*(rows+5)+rows, 3, 1, 0)
			old := append([]float32{}, dst.x...)
			s.Transpose(dst.x, rows+5, src.x, cols+3, rows, cols)
			for i, got := range dst.x {
				want := old[i]
				if i%(rows+5) < rows {
					want = src.x[i%(rows+5)*(cols+3)+i/(rows+5)]
				}
				if got != want {
					t.Fatalf("%s: %d by %d: element %d is %g, want %g", s.Name(), rows, cols, i, got, want)
				}
			}
			if dst.broken() {
				t.Fatalf("%s: %d by %d: wrote outside", s.Name(), rows, cols)
			}
		}
	}
}
