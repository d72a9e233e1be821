package blas

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// benchProducts are squares; a gpt2 block's products forward, of the input gradient and of the weight gradient; one of its heads' scores and values;
// row sums and rows repeated, which Gorgonia's graph has as products with ones; and small ones.
var benchProducts = []struct {
	name    string
	tA, tB  blas.Transpose
	m, n, k int
}{
	{"512", blas.NoTrans, blas.NoTrans, 512, 512, 512},
	{"1024", blas.NoTrans, blas.NoTrans, 1024, 1024, 1024},
	{"gpt2", blas.NoTrans, blas.NoTrans, 2048, 3072, 768},
	{"gpt2_dx", blas.NoTrans, blas.Trans, 2048, 768, 3072},
	{"gpt2_dw", blas.Trans, blas.NoTrans, 768, 3072, 2048},
	{"scores", blas.NoTrans, blas.Trans, 1024, 1024, 64},
	{"values", blas.NoTrans, blas.NoTrans, 1024, 64, 1024},
	{"sums", blas.NoTrans, blas.NoTrans, 2048, 1, 768},
	{"sums_dw", blas.Trans, blas.NoTrans, 768, 1, 2048},
	{"repeat", blas.NoTrans, blas.Trans, 2048, 768, 1},
	{"64", blas.NoTrans, blas.NoTrans, 64, 64, 64},
	{"32", blas.NoTrans, blas.NoTrans, 32, 32, 32},
	{"32_NT", blas.NoTrans, blas.Trans, 32, 32, 32},
	{"16", blas.NoTrans, blas.NoTrans, 16, 16, 16},
	{"8", blas.NoTrans, blas.NoTrans, 8, 8, 8},
	{"20x1", blas.NoTrans, blas.NoTrans, 100, 1, 20},
}

// BenchmarkSgemm runs gonum's Sgemm and ours in turn, so that other load on the machine falls on both, and reports the shortest time of each.
func BenchmarkSgemm(b *testing.B) {
	ours := New(runtime.GOMAXPROCS(0))
	defer ours.Close()
	for _, s := range benchProducts {
		b.Run(s.name, func(b *testing.B) {
			p := newProduct(rand.New(rand.NewPCG(1, 1)), s.tA, s.tB, s.m, s.n, s.k, 0, 1, 0)
			p.run(ours)
			var best [2]time.Duration
			for b.Loop() {
				for i, on := range []blas.Float32Level3{gonum.Implementation{}, ours} {
					start := time.Now()
					p.run(on)
					if took := time.Since(start); best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			flops := 2 * float64(s.m) * float64(s.n) * float64(s.k)
			b.ReportMetric(flops/float64(best[0].Nanoseconds()), "gonumGFLOPS")
			b.ReportMetric(flops/float64(best[1].Nanoseconds()), "oursGFLOPS")
			b.ReportMetric(float64(best[0])/float64(best[1]), "ratio")
		})
	}
}
