package gograph

import (
	"runtime"
	"testing"
	"time"

	G "gorgonia.org/gorgonia"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu/blas"
)

// BenchmarkStep is one training step over gonum's BLAS and ours in turn, so that other load on the machine falls on both; the shortest time of
// each counts. 72·C²·T·B·L + 12·C·T²·B·L FLOPs are the model's (forward and backward, causal scores in full).
func BenchmarkStep(b *testing.B) {
	p, _ := kernels.PrecisionNamed("fp32")
	for name, c := range map[string]block.Config{
		"small": {C: 256, NH: 4, T: 128, L: 2, Batch: 2, Precision: p},
		"gpt2":  {C: 768, NH: 12, T: 256, L: 1, Batch: 2, Precision: p},
	} {
		b.Run(name, func(b *testing.B) { benchStep(b, c) })
	}
}

func benchStep(b *testing.B, c block.Config) {
	ours := blas.New(runtime.GOMAXPROCS(0))
	defer ours.Close()
	e, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for _, name := range e.Names() {
		v := e.Param(name)
		for i := range v {
			v[i] = 0.1 * block.Normal(1, 1, uint64(i))
		}
		e.Load(name, v)
	}
	var best [2]time.Duration
	for b.Loop() {
		for i, on := range []G.BLAS{G.WhichBLAS(), ours} {
			took := stepOver(b, e, on)
			if best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	flops := float64(72*c.C*c.C*c.T*c.Batch*c.L + 12*c.C*c.T*c.T*c.Batch*c.L)
	b.ReportMetric(flops/float64(best[0].Nanoseconds()), "defaultGFLOPS")
	b.ReportMetric(flops/float64(best[1].Nanoseconds()), "oursGFLOPS")
	b.ReportMetric(float64(best[0])/float64(best[1]), "ratio")
}

func stepOver(b *testing.B, e *Engine, on G.BLAS) time.Duration {
	defer UseBLAS(on)()
	start := time.Now()
	if _, err := e.Step(block.DefaultHyper); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
