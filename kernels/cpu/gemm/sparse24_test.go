package gemm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ofpeak/kernels/cpu/team"
	"ofpeak/kernels/kerneltest"
)

var floats = []Type{F32, BF16, F16}

// weight24 is a random 2:4 weight, compressed and dense.
type weight24 struct {
	pattern *Pattern24
	meta    []byte
	values  *array
	oc, c   int
	column  []int // of each kept value
}

func newWeight24(t testing.TB, rng *rand.Rand, typ Type, oc, c int) *weight24 {
	w := &weight24{meta: make([]byte, oc*ceil(c, 8)), oc: oc, c: c}
	for r := range oc {
		for g := range c / 4 {
			first := rng.IntN(3)
			second := first + 1 + rng.IntN(3-first)
			w.meta[r*ceil(c, 8)+g/2] |= byte(first|second<<2) << (g % 2 * 4)
			w.column = append(w.column, 4*g+first, 4*g+second)
		}
	}
	var err error
	if w.pattern, err = NewPattern24(w.meta, oc, c); err != nil {
		t.Fatal(err)
	}
	w.values = newArray(rng, typ, oc, c/2, 0)
	return w
}

// compare checks a result against float64 sums and the squares of their terms.
func compare(t *testing.T, what string, got *array, want, squares []float64, k int) {
	t.Helper()
	if !got.guardsIntact() {
		t.Errorf("%s: wrote outside the result", what)
	}
	for i := range got.rows {
		for j := range got.cols {
			w, g := want[i*got.cols+j], got.at(i, j)
			tol := tolerance(F32, got.typ, shape{k: k}, w, squares[i*got.cols+j])
			if !(math.Abs(g-w) <= tol) {
				t.Fatalf("%s: [%d][%d] = %v, want %v ± %v", what, i, j, g, w, tol)
			}
		}
	}
}

// sums are float64 results with the squares of their terms.
type sums struct {
	cols          int
	want, squares []float64
}

func newSums(rows, cols int) sums {
	return sums{cols, make([]float64, rows*cols), make([]float64, rows*cols)}
}

func (s sums) add(i, j int, v float64) {
	s.want[i*s.cols+j] += v
	s.squares[i*s.cols+j] += v * v
}

func check24(t *testing.T, ctx *Context, rng *rand.Rand, in, out Type, n, oc, c, extra int) {
	t.Helper()
	what := fmt.Sprintf("%v->%v n=%d oc=%d c=%d extra=%d", in, out, n, oc, c, extra)
	w := newWeight24(t, rng, in, oc, c)
	x, dout := newArray(rng, in, n, c, extra), newArray(rng, in, n, oc, extra)
	y, dx, dv := newArray(rng, out, n, oc, extra), newArray(rng, out, n, c, extra), newArray(rng, F32, oc, c/2, 0)
	wantY, wantX, wantV := newSums(n, oc), newSums(n, c), newSums(oc, c/2)
	xs, douts := x.dense(false), dout.dense(false)
	for r := range oc {
		for i := range c / 2 {
			col, v := w.column[r*c/2+i], w.values.at(r, i)
			wantV.add(r, i, dv.at(r, i))
			for tok := range n {
				wantY.add(tok, r, xs[tok*c+col]*v)
				wantX.add(tok, col, douts[tok*oc+r]*v)
				wantV.add(r, i, douts[tok*oc+r]*xs[tok*c+col])
			}
		}
	}
	ctx.Forward24(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, nil)
	compare(t, "forward "+what, y, wantY.want, wantY.squares, c)
	ctx.InputGrad24(w.pattern, w.values.matrix(), dout.matrix(), dx.matrix(), n, nil)
	compare(t, "input gradient "+what, dx, wantX.want, wantX.squares, oc)
	ctx.WeightGrad24(w.pattern, dv.matrix(), dout.matrix(), x.matrix(), n)
	compare(t, "weight gradient "+what, dv, wantV.want, wantV.squares, n)
}

func eachFloatVariant(t *testing.T, sizes []int, f func(t *testing.T, ctx *Context, in Type)) {
	eachVariant(t, sizes, func(t *testing.T, ctx *Context, in Type) {
		if in != I8 {
			f(t, ctx, in)
		}
	})
}

func TestSparse24(t *testing.T) {
	eachFloatVariant(t, []int{1, 2, 3}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(7, uint64(in)))
		for i := range 8 {
			check24(t, ctx, rng, in, floats[i%3], 1+rng.IntN(70), 1+rng.IntN(70), 4*(1+rng.IntN(30)), i%2*3)
		}
		check24(t, ctx, rng, in, F32, 150, 27, 200, 1)
		check24(t, ctx, rng, in, BF16, 3, 1100, 20, 0)
	})
}

func TestSparse24Epilogue(t *testing.T) {
	eachFloatVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		const n, oc, c = 133, 41, 100
		rng := rand.New(rand.NewPCG(8, uint64(in)))
		w, x := newWeight24(t, rng, in, oc, c), newArray(rng, in, n, c, 0)
		plain, y := newArray(rng, F32, n, oc, 0), newArray(rng, F32, n, oc, 0)
		e := &marker{}
		for range n {
			e.seen = append(e.seen, make([]int32, oc))
		}
		ctx.Forward24(w.pattern, w.values.matrix(), x.matrix(), plain.matrix(), n, nil)
		ctx.Forward24(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, e)
		for i := range n {
			for j := range oc {
				if want := 2*plain.at(i, j) + float64(i); e.seen[i][j] != 1 || math.Abs(y.at(i, j)-want) > 1e-3 {
					t.Fatalf("[%d][%d] = %v, want %v; seen %d times", i, j, y.at(i, j), want, e.seen[i][j])
				}
			}
		}
	})
}

// TestSparse24Lopsided keeps the first two of every four, which leaves rows of the
// input gradient's lists empty and fills others; what a weight does not keep must
// not meet even NaN.
func TestSparse24Lopsided(t *testing.T) {
	const n, oc, c = 67, 131, 200
	eachFloatVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(15, uint64(in)))
		p, err := NewPattern24(slices.Repeat([]byte{0x44}, oc*ceil(c, 8)), oc, c)
		if err != nil {
			t.Fatal(err)
		}
		v, x, dout := newArray(rng, in, oc, c/2, 0), newArray(rng, in, n, c, 0), newArray(rng, in, n, oc, 0)
		for i := range n {
			for j := range c {
				if j%4 > 1 {
					x.set(x.off+i*x.stride+j, math.NaN())
				}
			}
		}
		y, dx, dv := newArray(rng, F32, n, oc, 0), newArray(rng, F32, n, c, 0), newArray(rng, F32, oc, c/2, 0)
		wantY, wantX, wantV := newSums(n, oc), newSums(n, c), newSums(oc, c/2)
		for r := range oc {
			for k := range c / 2 {
				wantV.add(r, k, dv.at(r, k))
			}
		}
		for i := range n {
			for r := range oc {
				for k := range c / 2 {
					col := k/2*4 + k%2
					wantY.add(i, r, x.at(i, col)*v.at(r, k))
					wantX.add(i, col, dout.at(i, r)*v.at(r, k))
					wantV.add(r, k, dout.at(i, r)*x.at(i, col))
				}
			}
		}
		ctx.Forward24(p, v.matrix(), x.matrix(), y.matrix(), n, nil)
		compare(t, "forward", y, wantY.want, wantY.squares, c)
		ctx.InputGrad24(p, v.matrix(), dout.matrix(), dx.matrix(), n, nil)
		compare(t, "input gradient", dx, wantX.want, wantX.squares, oc)
		ctx.WeightGrad24(p, dv.matrix(), dout.matrix(), x.matrix(), n)
		compare(t, "weight gradient", dv, wantV.want, wantV.squares, n)
	})
}

func TestPattern24Errors(t *testing.T) {
	good := []byte{0x4e, 0x04, 0x44, 0x04} // two rows of twelve: groups (2,3) (0,1) (0,1)
	if _, err := NewPattern24(good, 2, 12); err != nil {
		t.Errorf("good metadata: %v", err)
	}
	for _, tc := range []struct {
		name  string
		meta  []byte
		oc, c int
		want  string
	}{
		{"width", good, 2, 10, "multiple of four"},
		{"no rows", good, 0, 12, "multiple of four"},
		{"short", good[:3], 2, 12, "needs 4"},
		{"equal places", []byte{0x44, 0x05, 0x44, 0x04}, 2, 12, "row 0, group 2"},
		{"descending", []byte{0x44, 0x04, 0x14, 0x04}, 2, 12, "row 1, group 1"},
	} {
		if _, err := NewPattern24(tc.meta, tc.oc, tc.c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

func TestSparse24DoesNotAllocate(t *testing.T) {
	eachFloatVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		const n, oc, c = 50, 40, 60
		rng := rand.New(rand.NewPCG(9, 0))
		w, x, y := newWeight24(t, rng, in, oc, c), newArray(rng, in, n, c, 0), newArray(rng, in, n, oc, 0)
		dv := newArray(rng, F32, oc, c/2, 0)
		if got := kerneltest.Allocs(20, func() {
			ctx.Forward24(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, nil)
			ctx.InputGrad24(w.pattern, w.values.matrix(), y.matrix(), x.matrix(), n, nil)
			ctx.WeightGrad24(w.pattern, dv.matrix(), y.matrix(), x.matrix(), n)
		}); got != 0 {
			t.Errorf("%v allocations", got)
		}
		if w.pattern.Bytes() < int64(oc*c/2*6) {
			t.Errorf("Bytes() = %d", w.pattern.Bytes())
		}
	})
}

func TestSparse24Misuse(t *testing.T) {
	ctx := NewContext(team.NewUnpinned(1))
	rng := rand.New(rand.NewPCG(10, 0))
	w, x, y := newWeight24(t, rng, F32, 8, 8), newArray(rng, F32, 8, 8, 0), newArray(rng, F32, 8, 8, 0)
	v, half := w.values.matrix(), newArray(rng, BF16, 8, 8, 0).matrix()
	for name, f := range map[string]func(){
		"types":           func() { ctx.Forward24(w.pattern, v, half, y.matrix(), 8, nil) },
		"int32 result":    func() { ctx.Forward24(w.pattern, v, x.matrix(), newArray(rng, I32, 8, 8, 0).matrix(), 8, nil) },
		"transposed":      func() { ctx.Forward24(w.pattern, v.T(), x.matrix(), y.matrix(), 8, nil) },
		"too many tokens": func() { ctx.Forward24(w.pattern, v, x.matrix(), y.matrix(), 9, nil) },
		"bf16 gradient":   func() { ctx.WeightGrad24(w.pattern, half, x.matrix(), y.matrix(), 8) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}
