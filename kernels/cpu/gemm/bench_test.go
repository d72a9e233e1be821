package gemm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
)

// benchTeams are the teams that benchmarks run on: one core, then all.
func benchTeams(b *testing.B) []*team.Team {
	cores, err := team.Cores()
	if err != nil {
		b.Fatal(err)
	}
	if err := team.Pin(cores[0]); err != nil {
		b.Fatal(err)
	}
	teams := []*team.Team{team.New(cores[:1])}
	if len(cores) > 1 {
		teams = append(teams, team.New(cores))
	}
	return teams
}

// kinds are the products of a linear layer: forward, input gradient, weight gradient.
var kinds = []struct {
	name           string
	transA, transB bool
}{{"NT", false, true}, {"NN", false, false}, {"TN", true, false}}

func benchMultiply(b *testing.B, in Type, sizes ...int) {
	for _, tm := range benchTeams(b) {
		for _, v := range Variants(in) {
			for _, n := range sizes {
				if v == "go" && n > 512 {
					continue
				}
				for _, kind := range kinds {
					b.Run(fmt.Sprintf("cores=%d/%s/%s/n=%d", tm.Size(), v, kind.name, n), func(b *testing.B) {
						benchSquare(b, tm, in, v, n, kind.transA, kind.transB)
					})
				}
			}
		}
	}
}

func benchSquare(b *testing.B, tm *team.Team, in Type, variant string, n int, transA, transB bool) {
	ctx := NewContext(tm)
	if err := ctx.Select(in, variant); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	p := Product{M: n, N: n, K: n, C: newArray(rng, F32, n, n, 0).matrix()}
	_, p.A = operand(rng, in, n, n, transA, 0)
	_, p.B = operand(rng, in, n, n, transB, 0)
	for b.Loop() {
		ctx.Multiply(p)
	}
	gflops := 2 * float64(n) * float64(n) * float64(n) * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(gflops, "GFLOPS")
	b.ReportMetric(100*gflops/ceiling(tm, in), "%peak")
}

// ceilings are the measured peaks by team size, measured when first asked for.
var ceilings = map[int][]peak.Rate{}

// ceiling returns the measured peak of a type on a team: the fastest instruction
// for it, or for float32 where it has none of its own.
func ceiling(tm *team.Team, t Type) float64 {
	rates, ok := ceilings[tm.Size()]
	if !ok {
		rates = peak.Rates(tm, peak.DefaultTime)
		ceilings[tm.Size()] = rates
	}
	best, ok := peak.Best(rates, t.String())
	if !ok {
		best, _ = peak.Best(rates, F32.String())
	}
	return best.All
}

func BenchmarkF32(b *testing.B)  { benchMultiply(b, F32, 512, 768, 1024, 2048) }
func BenchmarkBF16(b *testing.B) { benchMultiply(b, BF16, 512, 1024, 2048) }
func BenchmarkF16(b *testing.B)  { benchMultiply(b, F16, 512, 1024) }
func BenchmarkI8(b *testing.B)   { benchMultiply(b, I8, 512, 1024, 2048) }

// BenchmarkSparse24 reports dense-equivalent GFLOPS beside the dense product's.
func BenchmarkSparse24(b *testing.B) {
	for _, tm := range benchTeams(b) {
		for _, v := range Variants(F32)[1:] {
			for _, n := range []int{768, 1024} {
				b.Run(fmt.Sprintf("cores=%d/%s/n=%d", tm.Size(), v, n), func(b *testing.B) {
					benchSparse24(b, tm, v, n)
				})
			}
		}
	}
}

func benchSparse24(b *testing.B, tm *team.Team, variant string, n int) {
	ctx := NewContext(tm)
	if err := ctx.Select(F32, variant); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	w := newWeight24(b, rng, F32, n, n)
	x, y, dv := newArray(rng, F32, n, n, 0).matrix(), newArray(rng, F32, n, n, 0).matrix(), newArray(rng, F32, n, n/2, 0).matrix()
	full, v := newArray(rng, F32, n, n, 0).matrix(), w.values.matrix()
	best := interleave(b,
		func() { ctx.Multiply(Product{M: n, N: n, K: n, A: x, B: full.T(), C: y}) },
		func() { ctx.Forward24(w.pattern, v, x, y, n, nil) },
		func() { ctx.InputGrad24(w.pattern, v, y, x, n, nil) },
		func() { ctx.WeightGrad24(w.pattern, dv, y, x, n) },
	)
	b.ReportMetric(2*float64(n)*float64(n)*float64(n)/best[0], "denseGFLOPS")
	b.ReportMetric(best[0]/best[1], "forward/dense")
	b.ReportMetric(best[0]/best[2], "dx/dense")
	b.ReportMetric(best[0]/best[3], "dw/dense")
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

// BenchmarkBlockSparse reports the share of the ideal speed-up over the dense
// product that each product reaches.
func BenchmarkBlockSparse(b *testing.B) {
	const n = 1024
	for _, tm := range benchTeams(b) {
		for _, block := range []int{16, 32, 64} {
			for _, zeros := range []int{50, 75, 90} {
				b.Run(fmt.Sprintf("cores=%d/block=%d/zeros=%d", tm.Size(), block, zeros), func(b *testing.B) {
					benchBlockSparse(b, tm, n, block, n/block*(100-zeros)/100)
				})
			}
		}
	}
}

func benchBlockSparse(b *testing.B, tm *team.Team, n, block, keep int) {
	ctx := NewContext(tm)
	rng := rand.New(rand.NewPCG(1, 1))
	w := newWeightBlock(b, rng, F32, n, n, block, keep)
	x, y, full := newArray(rng, F32, n, n, 0).matrix(), newArray(rng, F32, n, n, 0).matrix(), newArray(rng, F32, n, n, 0).matrix()
	v, dv := w.values.matrix(), newArray(rng, F32, w.values.rows, block, 0).matrix()
	best := interleave(b,
		func() { ctx.Multiply(Product{M: n, N: n, K: n, A: x, B: full.T(), C: y}) },
		func() { ctx.ForwardBlock(w.pattern, v, x, y, n, nil) },
		func() { ctx.InputGradBlock(w.pattern, v, y, x, n, nil) },
		func() { ctx.WeightGradBlock(w.pattern, dv, y, x, n) },
	)
	ideal := float64(n/block) / float64(keep)
	for i, name := range []string{"forward/ideal", "dx/ideal", "dw/ideal"} {
		b.ReportMetric(best[0]/best[i+1]/ideal, name)
	}
}
