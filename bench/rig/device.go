package rig

import (
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

// launcher starts the ranks of a case as goroutines, each on its share of the cores. More ranks than cores share them in turn.
func (r *Rig) launcher(c workload.Case) parallel.InProcess {
	return parallel.InProcess{
		Open:    func(rank, _ int) (kernels.Device, error) { return r.open(c, rank) },
		Connect: local.New,
	}
}

// openDevice is one rank's device: its share of the cores, or the reference.
func (r *Rig) openDevice(c workload.Case, rank int) (kernels.Device, error) {
	if c.Device == workload.Ref {
		return ref.New(), nil
	}
	return cpu.New(cpu.Config{Cores: r.coresOf(c, rank), ISA: c.ISA})
}

// supports asks a device about every operator of the case.
func (r *Rig) supports(c workload.Case) error {
	if c.IsGorgonia() {
		return r.checkGorgonia(c)
	}
	dev, err := r.open(c, 0)
	if err != nil {
		return err
	}
	defer dev.Close()
	cfg := trainerConfig(c)
	for _, op := range kernels.OpNames {
		if err := dev.Supports(op, cfg.Model.Precision.Compute, cfg.Model.Layout.Format); err != nil {
			return err
		}
	}
	return trainer.Check(cfg, strategy(c))
}

// trainerConfig is the whole model of a case.
func trainerConfig(c workload.Case) trainer.Config {
	p, ok := kernels.PrecisionNamed(c.Precision)
	if !ok {
		panic("rig: a case of an unknown precision")
	}
	layout := c.Layout
	if p.Int8 {
		layout.Format = kernels.Int8
	}
	m := c.Model
	return trainer.Config{
		Model: block.Config{
			C: m.C, NH: m.NH, T: m.T, L: m.L, V: m.V, Batch: m.B,
			Precision: p, Layout: layout, Seed: uint64(c.Seed), Forward: c.Pass == workload.Forward, Recompute: c.Recompute == workload.Blocks,
		},
		Hyper: block.DefaultHyper,
	}
}

func strategy(c workload.Case) parallel.Strategy {
	return parallel.Strategy{
		DP: c.DP, TP: c.TP, PP: c.PP, Schedule: c.Schedule, Chunks: c.Chunks, Microbatches: c.Microbatches, BucketBytes: int64(c.BucketBytes),
		ZeRO: c.ZeRO, Sequence: c.Sequence,
	}
}
