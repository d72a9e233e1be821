package blas

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	"gonum.org/v1/gonum/blas/testblas"

	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/kerneltest"
)

var _ blas.Float32 = (*BLAS)(nil)

// newBLAS multiplies on all threads, however little there is to do.
func newBLAS(t testing.TB, threads int) *BLAS {
	b := New(threads)
	b.small, b.alone = 0, 0
	t.Cleanup(b.Close)
	return b
}

// widened offers Sgemm as a Dgemm: gonum's suite is for float64, but its numbers are small integers, which float32 holds exactly.
type widened struct{ *BLAS }

func (w widened) Dgemm(tA, tB blas.Transpose, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	narrow := narrowed(c)
	w.Sgemm(tA, tB, m, n, k, float32(alpha), narrowed(a), lda, narrowed(b), ldb, float32(beta), narrow, ldc)
	for i, v := range narrow {
		c[i] = float64(v)
	}
}

func narrowed(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func TestGonumsSuite(t *testing.T) { testblas.TestDgemm(t, widened{newBLAS(t, 2)}) }

// matrix is random numbers in rows of a stride, with NaN between the rows.
func matrix(r *rand.Rand, rows, cols, stride int) []float32 {
	m := make([]float32, max(0, (rows-1)*stride+cols))
	for i := range m {
		m[i] = float32(r.NormFloat64())
		if i%stride >= cols {
			m[i] = float32(math.NaN())
		}
	}
	return m
}

var transposes = []blas.Transpose{blas.NoTrans, blas.Trans, blas.ConjTrans}

// product is the arguments of one call.
type product struct {
	tA, tB        blas.Transpose
	m, n, k       int
	alpha, beta   float32
	a, b, c       []float32
	lda, ldb, ldc int
}

func (p product) String() string {
	return fmt.Sprintf("%c%c m=%d n=%d k=%d alpha=%v beta=%v lda=%d ldb=%d ldc=%d", p.tA, p.tB, p.m, p.n, p.k, p.alpha, p.beta, p.lda, p.ldb, p.ldc)
}

func newProduct(r *rand.Rand, tA, tB blas.Transpose, m, n, k, extra int, alpha, beta float32) product {
	p := product{tA: tA, tB: tB, m: m, n: n, k: k, alpha: alpha, beta: beta}
	rowsA, colsA, rowsB, colsB := m, k, k, n
	if tA != blas.NoTrans {
		rowsA, colsA = k, m
	}
	if tB != blas.NoTrans {
		rowsB, colsB = n, k
	}
	p.lda, p.ldb, p.ldc = max(1, colsA)+extra, max(1, colsB)+extra, max(1, n)+extra
	p.a, p.b, p.c = matrix(r, rowsA, colsA, p.lda), matrix(r, rowsB, colsB, p.ldb), matrix(r, m, n, p.ldc)
	if beta == 0 {
		for i := range p.c {
			p.c[i] = float32(math.NaN()) // must not matter
		}
	}
	return p
}

func (p product) run(on blas.Float32Level3) {
	on.Sgemm(p.tA, p.tB, p.m, p.n, p.k, p.alpha, p.a, p.lda, p.b, p.ldb, p.beta, p.c, p.ldc)
}

// element is op(x)[i][j].
func element(x []float32, trans blas.Transpose, stride, i, j int) float64 {
	if trans != blas.NoTrans {
		i, j = j, i
	}
	return float64(x[i*stride+j])
}

// check runs a product and compares with the formula in float64. What lies between C's rows must stay.
func (p product) check(on blas.Float32Level3) error {
	old := append([]float32(nil), p.c...)
	p.run(on)
	for i, got := range p.c {
		row, col := i/p.ldc, i%p.ldc
		if col >= p.n {
			if math.Float32bits(got) != math.Float32bits(old[i]) {
				return fmt.Errorf("%v: wrote behind row %d", p, row)
			}
			continue
		}
		want, size := 0.0, 0.0
		if p.beta != 0 {
			want = float64(p.beta) * float64(old[i])
		}
		for l := range p.k {
			v := float64(p.alpha) * element(p.a, p.tA, p.lda, row, l) * element(p.b, p.tB, p.ldb, l, col)
			want, size = want+v, size+v*v
		}
		if !(math.Abs(float64(got)-want) <= 1e-6*(1+math.Abs(want)+math.Sqrt(size*float64(p.k+1)))) {
			return fmt.Errorf("%v: C[%d][%d] is %v, want %v", p, row, col, got, want)
		}
	}
	return nil
}

func TestSgemm(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, b := range []*BLAS{newBLAS(t, 1), newBLAS(t, 3), New(2)} {
		for _, tA := range transposes {
			for _, tB := range transposes {
				for _, alpha := range []float32{0, 1, -1, 0.5} {
					for _, beta := range []float32{0, 1, -0.25} {
						for _, s := range [][4]int{{1, 1, 1, 0}, {5, 7, 3, 1}, {8, 48, 16, 0}, {17, 50, 33, 4}, {70, 1, 19, 2}, {1, 90, 40, 0}, {30, 40, 1, 3}, {0, 4, 4, 0}, {4, 0, 4, 1}, {4, 5, 0, 1}} {
							if err := newProduct(r, tA, tB, s[0], s[1], s[2], s[3], alpha, beta).check(b); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
			}
		}
	}
}

// Products on both sides of the limits, on one BLAS by many callers at a time.
func TestConcurrentCallers(t *testing.T) {
	b := New(2)
	defer b.Close()
	var wg sync.WaitGroup
	for id := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(id)))
			for range 30 {
				p := newProduct(r, transposes[r.IntN(3)], transposes[r.IntN(3)], 1+r.IntN(130), 1+r.IntN(130), 1+r.IntN(130), r.IntN(3), 2, float32(r.IntN(3)))
				if err := p.check(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNaNAndInfinityReachTheirRowAndColumn(t *testing.T) {
	p := newProduct(rand.New(rand.NewPCG(3, 0)), blas.NoTrans, blas.Trans, 20, 30, 40, 0, 1, 0)
	p.a[7*p.lda+39] = float32(math.NaN())
	p.b[3*p.ldb] = float32(math.Inf(-1))
	p.a[11*p.lda] = 0 // zero times infinity
	p.run(newBLAS(t, 2))
	for i, v := range p.c {
		row, col := i/p.ldc, i%p.ldc
		nan := row == 7 || row == 11 && col == 3
		if math.IsNaN(float64(v)) != nan || math.IsInf(float64(v), 0) != (!nan && col == 3) {
			t.Fatalf("C[%d][%d] = %v", row, col, v)
		}
	}
}

// panicOf is what a call panics with, or nil.
func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestBadArgumentsPanicLikeGonums(t *testing.T) {
	for name, spoil := range map[string]func(p *product){
		"transpose A": func(p *product) { p.tA = 'n' },
		"transpose B": func(p *product) { p.tB = 0 },
		"m":           func(p *product) { p.m = -1 },
		"n":           func(p *product) { p.n = -1 },
		"k":           func(p *product) { p.k = -1 },
		"lda":         func(p *product) { p.lda = p.k - 1 },
		"ldb":         func(p *product) { p.ldb = p.n - 1 },
		"ldc":         func(p *product) { p.ldc = p.n - 1 },
		"lda of zero": func(p *product) { p.m, p.lda = 0, 0 },
		"short A":     func(p *product) { p.a = p.a[:len(p.a)-1] },
		"short B":     func(p *product) { p.b = p.b[:len(p.b)-1] },
		"short C":     func(p *product) { p.c = p.c[:len(p.c)-1] },
		"empty A":     func(p *product) { p.a = nil },
		"huge":        func(p *product) { p.m = 1 << 40 },
	} {
		p := newProduct(rand.New(rand.NewPCG(4, 0)), blas.NoTrans, blas.NoTrans, 30, 40, 50, 0, 1, 0.5)
		spoil(&p)
		old := append([]float32(nil), p.c...)
		want := panicOf(func() { p.run(gonum.Implementation{}) })
		if got := panicOf(func() { p.run(newBLAS(t, 1)) }); got == nil || got != want {
			t.Errorf("%s: panics with %v, gonum with %v", name, got, want)
		}
		for i := range p.c {
			if p.c[i] != old[i] {
				t.Errorf("%s: C has changed", name)
				break
			}
		}
	}
}

func TestSelect(t *testing.T) {
	variants := gemm.Variants(gemm.F32)
	b := newBLAS(t, 2)
	for _, name := range append(variants, "") {
		if err := b.Select(name); err != nil {
			t.Fatal(err)
		}
		if want := cmp.Or(name, variants[len(variants)-1]); b.Variant() != want {
			t.Errorf("after Select(%q): %s", name, b.Variant())
		}
		for _, alone := range []int{0, alone} {
			b.alone = alone
			if err := newProduct(rand.New(rand.NewPCG(6, 0)), blas.Trans, blas.NoTrans, 30, 50, 70, 1, 2, 1).check(b); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if err := b.Select("abacus"); err == nil || b.Variant() != variants[len(variants)-1] {
		t.Errorf("Select(abacus): %v, now %s", err, b.Variant())
	}
}

func TestSgemmDoesNotAllocate(t *testing.T) {
	b := New(2)
	defer b.Close()
	p := newProduct(rand.New(rand.NewPCG(5, 0)), blas.NoTrans, blas.Trans, 110, 120, 130, 0, 2, 0.5)
	if n := kerneltest.Allocs(20, func() { p.run(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
