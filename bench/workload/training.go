package workload

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
)

// Training is the whole model of a case that makes sense, as it is trained.
func (c Case) Training() trainer.Config {
	p, ok := kernels.PrecisionNamed(c.Precision)
	if !ok {
		panic("workload: a case of an unknown precision")
	}
	layout := c.Layout
	if p.Int8 {
		layout.Format = kernels.Int8
	}
	m := c.Model
	return trainer.Config{
		Model: block.Config{
			C: m.C, NH: m.NH, T: m.T, L: m.L, V: m.V, Batch: m.B,
			Experts:   block.Experts{Count: c.Experts.Count, TopK: c.Experts.TopK, Capacity: c.Experts.Capacity, Parts: c.Experts.Parts},
			Precision: p, Layout: layout, Seed: uint64(c.Seed), Forward: c.Pass == Forward, Recompute: c.Recompute == Blocks,
		},
		Hyper: block.DefaultHyper,
	}
}

// Strategy is how a case's ranks split it.
func (c Case) Strategy() parallel.Strategy {
	return parallel.Strategy{
		DP: c.DP, TP: c.TP, PP: c.PP, Schedule: c.Schedule, Chunks: c.Chunks, Microbatches: c.Microbatches, BucketBytes: int64(c.BucketBytes),
		ZeRO: c.ZeRO, Sequence: c.Sequence, EP: c.EP, CP: c.CP, EqualStages: c.Cut == ByCount, Naive: c.Overlap == Off, Aside: c.TP > 1 && (c.Overlap == On || c.Overlap == Auto && c.OnGPU()),
	}
}
