package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"ofpeak/kernels/cpu/team"
	"ofpeak/kernels/kerneltest"
)

// eps is the unit roundoff of each float type.
var eps = map[Type]float64{F32: 0x1p-24, BF16: 0x1p-8, F16: 0x1p-11}

// guard is what surrounds every matrix of a test: reading it spoils the result,
// writing it is found.
const guardLen = 64

// array is a matrix in storage with guards before, behind and, by its stride,
// between the rows.
type array struct {
	typ                Type
	rows, cols, stride int
	f32                []float32
	u16                []uint16
	i8                 []int8
	i32                []int32
	off                int
}

func isGuard(i int, a *array) bool {
	i -= a.off
	return i < 0 || i/a.stride >= a.rows || i%a.stride >= a.cols
}

// newArray makes rows x cols random values of a type at an odd offset, with
// guards of NaN, or of 0x55 for integers.
func newArray(rng *rand.Rand, typ Type, rows, cols, extra int) *array {
	a := &array{typ: typ, rows: rows, cols: cols, stride: cols + extra, off: guardLen + rng.IntN(16)}
	if a.stride == 0 {
		a.stride = 1
	}
	n := a.off + rows*a.stride + guardLen
	switch typ {
	case F32:
		a.f32 = make([]float32, n)
	case BF16, F16:
		a.u16 = make([]uint16, n)
	case I8:
		a.i8 = make([]int8, n)
	case I32:
		a.i32 = make([]int32, n)
	}
	for i := range n {
		if isGuard(i, a) {
			a.set(i, math.NaN())
		} else if typ == I8 || typ == I32 {
			a.set(i, float64(rng.IntN(256)-128))
		} else {
			a.set(i, rng.NormFloat64())
		}
	}
	return a
}

func (a *array) set(i int, v float64) {
	switch {
	case a.typ == F32:
		a.f32[i] = float32(v)
	case a.typ == BF16:
		a.u16[i] = f32ToBF16(float32(v))
	case a.typ == F16:
		a.u16[i] = f32ToF16(float32(v))
	case v != v && a.typ == I8:
		a.i8[i] = 0x55
	case v != v:
		a.i32[i] = 0x55555555
	case a.typ == I8:
		a.i8[i] = int8(v)
	default:
		a.i32[i] = int32(v)
	}
}

func (a *array) get(i int) float64 {
	switch a.typ {
	case F32:
		return float64(a.f32[i])
	case BF16:
		return float64(bf16ToF32(a.u16[i]))
	case F16:
		return float64(f16ToF32(a.u16[i]))
	case I8:
		return float64(a.i8[i])
	default:
		return float64(a.i32[i])
	}
}

func (a *array) at(r, c int) float64 { return a.get(a.off + r*a.stride + c) }

// dense returns the values as float64, row by row, or column by column.
func (a *array) dense(columns bool) []float64 {
	v := make([]float64, 0, a.rows*a.cols)
	if columns {
		for c := range a.cols {
			for r := range a.rows {
				v = append(v, a.at(r, c))
			}
		}
		return v
	}
	for r := range a.rows {
		for c := range a.cols {
			v = append(v, a.at(r, c))
		}
	}
	return v
}

// matrix views the array from its first value to its last.
func (a *array) matrix() Matrix {
	end := a.off
	if a.rows > 0 && a.cols > 0 {
		end += (a.rows-1)*a.stride + a.cols
	}
	switch a.typ {
	case F32:
		return NewF32(a.f32[a.off:end], a.stride)
	case BF16:
		return NewBF16(a.u16[a.off:end], a.stride)
	case F16:
		return NewF16(a.u16[a.off:end], a.stride)
	case I8:
		return NewI8(a.i8[a.off:end], a.stride)
	default:
		return NewI32(a.i32[a.off:end], a.stride)
	}
}

// guardsIntact reports whether nothing outside the values changed.
func (a *array) guardsIntact() bool {
	ref := &array{typ: a.typ, f32: []float32{0}, u16: []uint16{0}, i8: []int8{0}, i32: []int32{0}}
	ref.set(0, math.NaN())
	n := len(a.f32) + len(a.u16) + len(a.i8) + len(a.i32)
	for i := range n {
		if !isGuard(i, a) {
			continue
		}
		same := false
		switch a.typ {
		case F32:
			same = math.Float32bits(a.f32[i]) == math.Float32bits(ref.f32[0])
		case BF16, F16:
			same = a.u16[i] == ref.u16[0]
		case I8:
			same = a.i8[i] == ref.i8[0]
		case I32:
			same = a.i32[i] == ref.i32[0]
		}
		if !same {
			return false
		}
	}
	return true
}

// shape is one product to test.
type shape struct {
	m, n, k        int
	transA, transB bool
	accumulate     bool
	extra          int // stride beyond the width
	scales         bool
}

func (s shape) String() string {
	return fmt.Sprintf("%dx%dx%d/transA=%v,transB=%v,acc=%v,extra=%d,scales=%v",
		s.m, s.n, s.k, s.transA, s.transB, s.accumulate, s.extra, s.scales)
}

func operand(rng *rand.Rand, typ Type, rows, cols int, trans bool, extra int) (*array, Matrix) {
	if trans {
		a := newArray(rng, typ, cols, rows, extra)
		return a, a.matrix().T()
	}
	a := newArray(rng, typ, rows, cols, extra)
	return a, a.matrix()
}

// checkProduct runs one product and compares it with the float64 sum.
func checkProduct(t *testing.T, ctx *Context, rng *rand.Rand, in, out Type, s shape) {
	t.Helper()
	a, am := operand(rng, in, s.m, s.k, s.transA, s.extra)
	b, bm := operand(rng, in, s.k, s.n, s.transB, s.extra)
	c := newArray(rng, out, s.m, s.n, s.extra)
	p := Product{M: s.m, N: s.n, K: s.k, A: am, B: bm, C: c.matrix(), Accumulate: s.accumulate}
	if s.scales {
		p.ScaleA, p.ScaleB = randoms(rng, s.m), randoms(rng, s.n)
	}
	want, size := make([]float64, s.m*s.n), make([]float64, s.m*s.n)
	rows, columns := a.dense(s.transA), b.dense(!s.transB)
	for i := range s.m {
		for j := range s.n {
			column := columns[j*s.k:]
			for k, x := range rows[i*s.k : (i+1)*s.k] {
				v := x * column[k]
				want[i*s.n+j] += v
				size[i*s.n+j] += v * v
			}
			if s.scales {
				want[i*s.n+j] *= float64(p.ScaleA[i]) * float64(p.ScaleB[j])
			}
			if s.accumulate {
				want[i*s.n+j] += c.at(i, j)
			}
		}
	}
	ctx.Multiply(p)
	if !c.guardsIntact() {
		t.Errorf("%v->%v %v: wrote outside C", in, out, s)
	}
	for i := range s.m {
		for j := range s.n {
			w, got := want[i*s.n+j], c.at(i, j)
			tol := tolerance(in, out, s, w, size[i*s.n+j])
			if out == F16 && math.Abs(w) > 65504 {
				w, tol = math.Copysign(65520, w), math.Inf(1)
			}
			if !(math.Abs(got-w) <= tol) {
				t.Fatalf("%v->%v %v: C[%d][%d] = %v, want %v ± %v", in, out, s, i, j, got, w, tol)
			}
		}
	}
}

// tolerance bounds the error of a sum of products: eps*sqrt(K) times the root of
// the sum of squares, with room for the partial sums' growth, and the rounding
// of the result to the output type.
func tolerance(in, out Type, s shape, want, squares float64) float64 {
	if out == I32 {
		return 0
	}
	sum := 8 * eps[F32] * math.Sqrt(float64(s.k)+1) * math.Sqrt(squares+1)
	if in == I8 {
		sum = 4 * eps[F32] * math.Abs(want)
	}
	return sum + 2*eps[out]*math.Abs(want) + 1e-6
}

func randoms(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = rng.Float32() + 0.5
	}
	return v
}

// outputs lists the result types of each operand type.
func outputs(in Type) []Type {
	if in == I8 {
		return []Type{F32, BF16, F16, I32}
	}
	return []Type{F32, BF16, F16}
}

// eachVariant runs f for every operand type, variant and a few team sizes; in short mode, for slow emulators, for one size and two types.
func eachVariant(t *testing.T, sizes []int, f func(t *testing.T, ctx *Context, in Type)) {
	types := []Type{F32, BF16, F16, I8}
	if testing.Short() {
		sizes, types = sizes[len(sizes)-1:], []Type{F32, I8}
	}
	for _, size := range sizes {
		tm := team.NewUnpinned(size)
		t.Cleanup(tm.Close)
		for _, in := range types {
			for _, v := range Variants(in) {
				ctx := NewContext(tm)
				if err := ctx.Select(in, v); err != nil {
					t.Fatal(err)
				}
				t.Run(fmt.Sprintf("%v/%s/team=%d", in, v, size), func(t *testing.T) { f(t, ctx, in) })
			}
		}
	}
}

func TestShapes(t *testing.T) {
	dims := []int{1, 2, 3, 5, 7, 8, 9, 13, 16, 17, 31, 47, 48, 49, 64, 67, 70}
	eachVariant(t, []int{1, 2, 3}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(1, uint64(in)))
		for i := range 100 {
			out := outputs(in)[i%len(outputs(in))]
			s := shape{
				m: dims[rng.IntN(len(dims))], n: dims[rng.IntN(len(dims))], k: dims[rng.IntN(len(dims))],
				transA: i&1 != 0, transB: i&2 != 0, accumulate: i&4 != 0, extra: i % 3 * 5,
				scales: in == I8 && out != I32 && i&8 != 0,
			}
			checkProduct(t, ctx, rng, in, out, s)
		}
	})
}

// Blocks of K, of columns and of rows must join without seams.
func TestBlocks(t *testing.T) {
	eachVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(2, uint64(in)))
		for _, s := range []shape{
			{m: 9, n: 17, k: 1301},
			{m: 17, n: 33, k: 2603, transA: true, accumulate: true},
			{m: 5, n: 1237, k: 37, transB: true},
			{m: 2311, n: 3, k: 331, transA: true, transB: true},
			{m: 2311, n: 19, k: 5, accumulate: true},
			{m: 21, n: 150, k: 1304},
			{m: 35, n: 300, k: 1904, extra: 4, transB: true},
			{m: 18, n: 1100, k: 1024},
			{m: 27, n: 101, k: 2064},
		} {
			for _, out := range outputs(in) {
				checkProduct(t, ctx, rng, in, out, s)
			}
		}
	})
}

func TestEmpty(t *testing.T) {
	eachVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(3, 0))
		for _, s := range []shape{{0, 5, 5, false, false, false, 0, false}, {5, 0, 5, true, true, false, 1, false},
			{5, 6, 0, false, false, false, 0, false}, {5, 6, 0, true, false, true, 2, false}} {
			for _, out := range outputs(in) {
				checkProduct(t, ctx, rng, in, out, s)
			}
		}
	})
}

// NaN and infinity reach exactly the results that their row or column takes part in.
func TestNaNAndInf(t *testing.T) {
	const m, n, k = 19, 53, 41
	eachFloatVariant(t, []int{1, 2}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(4, uint64(in)))
		a, b, c := newArray(rng, in, m, k, 0), newArray(rng, in, k, n, 0), newArray(rng, F32, m, n, 0)
		a.set(a.off+7*a.stride+40, math.NaN())
		b.set(b.off+3*b.stride+52, math.Inf(1))
		a.set(a.off+18*a.stride+3, 0) // zero times infinity
		ctx.Multiply(Product{M: m, N: n, K: k, A: a.matrix(), B: b.matrix(), C: c.matrix()})
		for i := range m {
			for j := range n {
				got := c.at(i, j)
				nan := i == 7 || i == 18 && j == 52
				inf := !nan && j == 52
				if math.IsNaN(got) != nan || math.IsInf(got, 0) != inf {
					t.Fatalf("C[%d][%d] = %v", i, j, got)
				}
			}
		}
	})
}

// marker doubles each result and counts how often each was seen.
type marker struct {
	seen [][]int32
}

func (m *marker) Row(row, col0 int, acc []float32) {
	for i := range acc {
		m.seen[row][col0+i]++
		acc[i] = 2*acc[i] + float32(row)
	}
}

func TestEpilogue(t *testing.T) {
	eachVariant(t, []int{3}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(5, uint64(in)))
		for _, out := range []Type{F32, BF16, F16} {
			const m, n, k = 19, 601, 1283
			a, b := newArray(rng, in, m, k, 0), newArray(rng, in, k, n, 0)
			plain, c := newArray(rng, F32, m, n, 0), newArray(rng, out, m, n, 3)
			p := Product{M: m, N: n, K: k, A: a.matrix(), B: b.matrix(), C: plain.matrix()}
			if in == I8 {
				p.ScaleA = slices.Repeat([]float32{0x1p-10}, m)
			}
			ctx.Multiply(p)
			e := &marker{}
			for range m {
				e.seen = append(e.seen, make([]int32, n))
			}
			p.C, p.Epilogue = c.matrix(), e
			ctx.Multiply(p)
			for i := range m {
				for j := range n {
					want := 2*plain.at(i, j) + float64(i)
					if e.seen[i][j] != 1 || math.Abs(c.at(i, j)-want) > 2*eps[out]*math.Abs(want)+1e-4 {
						t.Fatalf("%v: C[%d][%d] = %v, want %v; seen %d times", out, i, j, c.at(i, j), want, e.seen[i][j])
					}
				}
			}
		}
	})
}

func TestMultiplyDoesNotAllocate(t *testing.T) {
	eachVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(6, 0))
		a, b, c := newArray(rng, in, 50, 60, 0), newArray(rng, in, 60, 70, 0), newArray(rng, BF16, 50, 70, 0)
		p := Product{M: 50, N: 70, K: 60, A: a.matrix(), B: b.matrix(), C: c.matrix()}
		if n := kerneltest.Allocs(20, func() { ctx.Multiply(p) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		if ctx.Bytes() <= 0 {
			t.Errorf("Bytes() = %d", ctx.Bytes())
		}
	})
}

func TestSelect(t *testing.T) {
	ctx := NewContext(team.NewUnpinned(1))
	for _, in := range []Type{F32, BF16, F16, I8} {
		names := Variants(in)
		if names[0] != "go" || ctx.Variant(in) != names[len(names)-1] {
			t.Errorf("%v: variants %v, default %s", in, names, ctx.Variant(in))
		}
		if err := ctx.Select(in, "go"); err != nil || ctx.Variant(in) != "go" {
			t.Errorf("%v: Select(go): %v, now %s", in, err, ctx.Variant(in))
		}
		if err := ctx.Select(in, "abacus"); err == nil {
			t.Errorf("%v: Select(abacus) succeeded", in)
		}
		if err := ctx.Select(in, ""); err != nil || ctx.Variant(in) != names[len(names)-1] {
			t.Errorf("%v: Select(\"\"): %v, now %s", in, err, ctx.Variant(in))
		}
	}
}

func TestMisuse(t *testing.T) {
	ctx := NewContext(team.NewUnpinned(1))
	f, h, q, s := make([]float32, 16), make([]uint16, 16), make([]int8, 16), make([]int32, 16)
	good := Product{M: 4, N: 4, K: 4, A: NewF32(f, 4), B: NewF32(f, 4), C: NewF32(make([]float32, 16), 4)}
	for name, spoil := range map[string]func(p *Product){
		"negative":     func(p *Product) { p.M = -1 },
		"types differ": func(p *Product) { p.A = NewBF16(h, 4) },
		"int32 in":     func(p *Product) { p.A, p.B = NewI32(s, 4), NewI32(s, 4) },
		"int8 out":     func(p *Product) { p.C = NewI8(q, 4) },
		"int32 out":    func(p *Product) { p.C = NewI32(s, 4) },
		"scales":       func(p *Product) { p.ScaleA = f },
		"short scales": func(p *Product) { p.A, p.B, p.ScaleB = NewI8(q, 4), NewI8(q, 4), f[:3] },
		"transposed C": func(p *Product) { p.C = p.C.T() },
		"short A":      func(p *Product) { p.A = NewF32(f[:15], 4) },
		"short B":      func(p *Product) { p.B = NewF32(f[:15], 4).T() },
		"short C":      func(p *Product) { p.C = NewF32(f[:15], 4) },
		"stride":       func(p *Product) { p.A = NewF32(f, 3) },
	} {
		p := good
		spoil(&p)
		if !panics(func() { ctx.Multiply(p) }) {
			t.Errorf("%s: no panic", name)
		}
	}
	if panics(func() { ctx.Multiply(good) }) {
		t.Error("a good product panics")
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
