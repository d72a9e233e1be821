package gemm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ofpeak/kernels/cpu/team"
)

// linear is the shape of a linear layer: n tokens, c input and oc output channels.
type linear struct{ n, c, oc int }

func (l linear) String() string { return fmt.Sprintf("%dx%dx%d", l.n, l.c, l.oc) }

// linears are squares and the layers of a gpt2 block at 1024 tokens.
var linears = []linear{
	{512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
	{1024, 768, 2304}, {1024, 768, 768}, {1024, 768, 3072}, {1024, 3072, 768},
}

// pass is one of the three products of a linear layer, dense and sparse.
type pass struct {
	name          string
	dense, sparse func()
}

// operands are random operands of a layer.
type operands struct {
	x, y, w, dw Matrix
}

func newOperands(b testing.TB, rng *rand.Rand, in Type, l linear) operands {
	matrix := func(typ Type, rows, cols int) Matrix { return onDevice(b, newArray(rng, typ, rows, cols, 0)) }
	return operands{matrix(in, l.n, l.c), matrix(in, l.n, l.oc), matrix(in, l.oc, l.c), matrix(F32, l.oc, l.c)}
}

// passes returns the products with the given sparse ones.
func (o *operands) passes(ctx *Context, l linear, forward, dx, dw func()) []pass {
	return []pass{
		{"forward", func() { ctx.Multiply(Product{M: l.n, N: l.oc, K: l.c, A: o.x, B: o.w.T(), C: o.y}) }, forward},
		{"dx", func() { ctx.Multiply(Product{M: l.n, N: l.c, K: l.oc, A: o.y, B: o.w, C: o.x}) }, dx},
		{"dw", func() {
			ctx.Multiply(Product{M: l.oc, N: l.c, K: l.n, A: o.y.T(), B: o.x, C: o.dw, Accumulate: true})
		}, dw},
	}
}

// benchPasses reports, for each pass, the GFLOPS of the kept weights, their share
// of the measured peak, the speed-up over the dense product, which runs in turn
// with it, and the share of the ideal one, 1/density.
func benchPasses(b *testing.B, tm *team.Team, in Type, l linear, density float64, passes []pass) {
	for _, p := range passes {
		b.Run(p.name, func(b *testing.B) {
			best := interleave(b, p.dense, p.sparse)
			gflops := 2 * float64(l.n) * float64(l.c) * float64(l.oc) * density / best[1]
			b.ReportMetric(gflops, "GFLOPS")
			b.ReportMetric(100*gflops/ceiling(tm, in), "%peak")
			b.ReportMetric(best[0]/best[1], "xdense")
			b.ReportMetric(100*density*best[0]/best[1], "%ideal")
		})
	}
}

// interleave runs functions in turn and returns the shortest time of each, in
// nanoseconds, so that other load on the machine falls on all alike.
func interleave(b *testing.B, fs ...func()) []float64 {
	best := make([]float64, len(fs))
	for b.Loop() {
		for i, f := range fs {
			start := time.Now()
			f()
			if ns := float64(time.Since(start).Nanoseconds()); best[i] == 0 || ns < best[i] {
				best[i] = ns
			}
		}
	}
	return best
}

func BenchmarkSparse24(b *testing.B) {
	for _, tm := range benchTeams(b) {
		for _, in := range []Type{F32, BF16} {
			for _, v := range Variants(in)[1:] {
				for _, l := range linears {
					b.Run(fmt.Sprintf("cores=%d/%v/%s/%v", tm.Size(), in, v, l), func(b *testing.B) { benchSparse24(b, tm, in, v, l) })
				}
			}
		}
	}
}

func benchSparse24(b *testing.B, tm *team.Team, in Type, variant string, l linear) {
	ctx := NewContext(tm)
	if err := ctx.Select(in, variant); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	w, o := newWeight24(b, rng, in, l.oc, l.c), newOperands(b, rng, in, l)
	v, dv := onDevice(b, w.values), onDevice(b, newArray(rng, F32, l.oc, l.c/2, 0))
	benchPasses(b, tm, in, l, 0.5, o.passes(ctx, l,
		func() { ctx.Forward24(w.pattern, v, o.x, o.y, l.n, nil) },
		func() { ctx.InputGrad24(w.pattern, v, o.y, o.x, l.n, nil) },
		func() { ctx.WeightGrad24(w.pattern, dv, o.y, o.x, l.n) },
	))
}

func BenchmarkBlockSparse(b *testing.B) {
	l := linear{1024, 1024, 1024}
	for _, tm := range benchTeams(b) {
		for _, in := range []Type{F32, BF16} {
			for _, block := range []int{16, 32, 64} {
				for _, zeros := range []int{50, 75, 90} {
					b.Run(fmt.Sprintf("cores=%d/%v/block=%d/zeros=%d", tm.Size(), in, block, zeros), func(b *testing.B) {
						benchBlockSparse(b, tm, in, l, block, (l.c/block*(100-zeros)+50)/100)
					})
				}
			}
		}
	}
}

func benchBlockSparse(b *testing.B, tm *team.Team, in Type, l linear, block, keep int) {
	ctx := NewContext(tm)
	rng := rand.New(rand.NewPCG(1, 1))
	w, o := newWeightBlock(b, rng, in, l.oc, l.c, block, keep), newOperands(b, rng, in, l)
	v, dv := onDevice(b, w.values), onDevice(b, newArray(rng, F32, w.values.rows, block, 0))
	density := float64(keep) / float64(l.c/block)
	benchPasses(b, tm, in, l, density, o.passes(ctx, l,
		func() { ctx.ForwardBlock(w.pattern, v, o.x, o.y, l.n, nil) },
		func() { ctx.InputGradBlock(w.pattern, v, o.y, o.x, l.n, nil) },
		func() { ctx.WeightGradBlock(w.pattern, dv, o.y, o.x, l.n) },
	))
}
