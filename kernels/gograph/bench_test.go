package gograph

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// BenchmarkStep is one training step; 72·C²·T·B·L + 12·C·T²·B·L FLOPs are the model's (forward and backward, causal scores in full).
func BenchmarkStep(b *testing.B) {
	p, _ := kernels.PrecisionNamed("fp32")
	c := block.Config{C: 256, NH: 4, T: 128, L: 2, Batch: 2, Precision: p}
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
	for b.Loop() {
		if _, err := e.Step(block.DefaultHyper); err != nil {
			b.Fatal(err)
		}
	}
	flops := float64(72*c.C*c.C*c.T*c.Batch*c.L + 12*c.C*c.T*c.T*c.Batch*c.L)
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
}
