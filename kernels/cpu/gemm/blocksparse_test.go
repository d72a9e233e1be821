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

// weightBlock is a random block-sparse weight.
type weightBlock struct {
	pattern      *PatternBlock
	meta         []int32
	values       *array // (kept*block, block)
	oc, c, block int
	keep         int
}

func newWeightBlock(t testing.TB, rng *rand.Rand, typ Type, oc, c, block, keep int) *weightBlock {
	w := &weightBlock{oc: oc, c: c, block: block, keep: keep}
	for range oc / block {
		cols := rng.Perm(c / block)[:keep]
		slices.Sort(cols)
		for _, col := range cols {
			w.meta = append(w.meta, int32(col))
		}
	}
	var err error
	if w.pattern, err = NewPatternBlock(w.meta, oc, c, block); err != nil {
		t.Fatal(err)
	}
	w.values = newArray(rng, typ, len(w.meta)*block, block, 0)
	return w
}

// each passes every kept weight: its row, its column, and its place in values.
func (w *weightBlock) each(yield func(row, col, i, j int)) {
	for n, blockCol := range w.meta {
		for i := range w.block {
			for j := range w.block {
				yield(n/w.keep*w.block+i, int(blockCol)*w.block+j, n*w.block+i, j)
			}
		}
	}
}

func checkBlock(t *testing.T, ctx *Context, rng *rand.Rand, in, out Type, n, oc, c, block, keep, extra int) {
	t.Helper()
	what := fmt.Sprintf("%v->%v n=%d oc=%d c=%d block=%d keep=%d extra=%d", in, out, n, oc, c, block, keep, extra)
	w := newWeightBlock(t, rng, in, oc, c, block, keep)
	x, dout := newArray(rng, in, n, c, extra), newArray(rng, in, n, oc, extra)
	y, dx := newArray(rng, out, n, oc, extra), newArray(rng, out, n, c, extra)
	dv := newArray(rng, F32, len(w.meta)*block, block, 0)
	wantY, wantX, wantV := newSums(n, oc), newSums(n, c), newSums(dv.rows, block)
	xs, douts := x.dense(false), dout.dense(false)
	w.each(func(row, col, i, j int) {
		v := w.values.at(i, j)
		wantV.add(i, j, dv.at(i, j))
		for tok := range n {
			wantY.add(tok, row, xs[tok*c+col]*v)
			wantX.add(tok, col, douts[tok*oc+row]*v)
			wantV.add(i, j, douts[tok*oc+row]*xs[tok*c+col])
		}
	})
	ctx.ForwardBlock(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, nil)
	compare(t, "forward "+what, y, wantY.want, wantY.squares, c)
	ctx.InputGradBlock(w.pattern, w.values.matrix(), dout.matrix(), dx.matrix(), n, nil)
	compare(t, "input gradient "+what, dx, wantX.want, wantX.squares, oc)
	ctx.WeightGradBlock(w.pattern, dv.matrix(), dout.matrix(), x.matrix(), n)
	compare(t, "weight gradient "+what, dv, wantV.want, wantV.squares, n)
}

func TestBlockSparse(t *testing.T) {
	eachFloatVariant(t, []int{1, 3}, func(t *testing.T, ctx *Context, in Type) {
		rng := rand.New(rand.NewPCG(11, uint64(in)))
		for i, tc := range []struct{ n, oc, c, block, keep int }{
			{1, 16, 16, 16, 1},
			{7, 32, 80, 16, 2},
			{33, 96, 64, 32, 1},
			{21, 128, 192, 64, 2},
			{13, 48, 144, 48, 3},
			{19, 80, 160, 80, 1},
			{330, 32, 64, 16, 3},
			{5, 64, 1088, 64, 3},
			{9, 1088, 64, 64, 1},
			{50, 48, 80, 16, 2},
			{270, 272, 1088, 16, 3}, // several parts of K, and groups of block rows
			{130, 320, 1216, 64, 2}, // and of block columns
			{740, 64, 1088, 16, 3},  // tokens cut into parts for the workers
		} {
			checkBlock(t, ctx, rng, in, floats[i%3], tc.n, tc.oc, tc.c, tc.block, tc.keep, i%2*5)
		}
	})
}

func TestBlockEpilogue(t *testing.T) {
	eachFloatVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		const n, oc, c = 37, 96, 64
		rng := rand.New(rand.NewPCG(12, uint64(in)))
		w, x := newWeightBlock(t, rng, in, oc, c, 16, 2), newArray(rng, in, n, c, 0)
		for _, out := range floats {
			plain, y := newArray(rng, F32, n, oc, 0), newArray(rng, out, n, oc, 0)
			e := &marker{}
			for range n {
				e.seen = append(e.seen, make([]int32, oc))
			}
			ctx.ForwardBlock(w.pattern, w.values.matrix(), x.matrix(), plain.matrix(), n, nil)
			ctx.ForwardBlock(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, e)
			for i := range n {
				for j := range oc {
					want := 2*plain.at(i, j) + float64(i)
					if e.seen[i][j] != 1 || math.Abs(y.at(i, j)-want) > 2*eps[out]*math.Abs(want)+1e-3 {
						t.Fatalf("%v: [%d][%d] = %v, want %v; seen %d times", out, i, j, y.at(i, j), want, e.seen[i][j])
					}
				}
			}
		}
	})
}

func TestPatternBlockErrors(t *testing.T) {
	for _, tc := range []struct {
		name         string
		meta         []int32
		oc, c, block int
		want         string
	}{
		{"small block", []int32{0, 0}, 16, 16, 8, "multiple of 16"},
		{"odd block", []int32{0, 0}, 48, 48, 24, "multiple of 16"},
		{"does not divide", []int32{0}, 32, 40, 16, "divides both"},
		{"uneven", []int32{0, 1, 0}, 32, 32, 16, "same number"},
		{"none", nil, 32, 32, 16, "same number"},
		{"out of range", []int32{0, 2}, 32, 32, 16, "ascend below 2"},
		{"negative", []int32{-1, 0}, 32, 32, 16, "ascend below 2"},
		{"descending", []int32{0, 1, 1, 0}, 32, 32, 16, "entry 1 of row 1"},
		{"twice", []int32{1, 1, 0, 1}, 32, 32, 16, "entry 1 of row 0"},
	} {
		if _, err := NewPatternBlock(tc.meta, tc.oc, tc.c, tc.block); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

func TestBlockDoesNotAllocate(t *testing.T) {
	eachFloatVariant(t, []int{2}, func(t *testing.T, ctx *Context, in Type) {
		for _, tc := range []struct{ n, oc, c, block int }{{50, 64, 96, 16}, {50, 64, 96, 32}, {500, 16, 1088, 16}} {
			n, oc, c, block := tc.n, tc.oc, tc.c, tc.block
			rng := rand.New(rand.NewPCG(13, 0))
			w, x, y := newWeightBlock(t, rng, in, oc, c, block, 2), newArray(rng, in, n, c, 0), newArray(rng, in, n, oc, 0)
			dv := newArray(rng, F32, w.values.rows, block, 0)
			if got := kerneltest.Allocs(20, func() {
				ctx.ForwardBlock(w.pattern, w.values.matrix(), x.matrix(), y.matrix(), n, nil)
				ctx.InputGradBlock(w.pattern, w.values.matrix(), y.matrix(), x.matrix(), n, nil)
				ctx.WeightGradBlock(w.pattern, dv.matrix(), y.matrix(), x.matrix(), n)
			}); got != 0 {
				t.Errorf("%v allocations", got)
			}
			if w.pattern.Bytes() < int64(32*len(w.meta)) {
				t.Errorf("Bytes() = %d", w.pattern.Bytes())
			}
		}
	})
}

func TestBlockMisuse(t *testing.T) {
	ctx := NewContext(team.NewUnpinned(1))
	rng := rand.New(rand.NewPCG(14, 0))
	w, x, y := newWeightBlock(t, rng, F32, 16, 16, 16, 1), newArray(rng, F32, 8, 16, 0), newArray(rng, F32, 8, 16, 0)
	v, half, ints := w.values.matrix(), newArray(rng, BF16, 16, 16, 0).matrix(), newArray(rng, I32, 16, 16, 0).matrix()
	for name, f := range map[string]func(){
		"types":           func() { ctx.ForwardBlock(w.pattern, v, half, y.matrix(), 8, nil) },
		"int32 result":    func() { ctx.ForwardBlock(w.pattern, v, x.matrix(), ints, 8, nil) },
		"too many tokens": func() { ctx.ForwardBlock(w.pattern, v, x.matrix(), y.matrix(), 9, nil) },
		"short values":    func() { ctx.InputGradBlock(w.pattern, x.matrix(), y.matrix(), x.matrix(), 8, nil) },
		"bf16 gradient":   func() { ctx.WeightGradBlock(w.pattern, half, y.matrix(), x.matrix(), 8) },
		"mixed gradient":  func() { ctx.WeightGradBlock(w.pattern, v, half, x.matrix(), 8) },
		"short gradient":  func() { ctx.WeightGradBlock(w.pattern, v, y.matrix(), x.matrix(), 9) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}
