package rig

import (
	"errors"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

// launcher starts the ranks of a case as goroutines, each on its share of the cores, or on a GPU of its own. More ranks than cores share them in turn.
func (r *Rig) launcher(c workload.Case) parallel.InProcess {
	return parallel.InProcess{
		Open:    func(rank, _ int) (kernels.Device, error) { return r.open(c, rank) },
		Connect: r.engine(c).connect,
		Stall:   r.stall,
	}
}

// engine is what moves data between the ranks of a case.
type engine struct {
	name    string // in rows
	connect func(world int) []comm.Communicator
}

func (r *Rig) engine(c workload.Case) engine {
	if r.joined(c) {
		return engine{r.job.Version(), nil} // launch connects the processes
	}
	if c.OnGPU() {
		return r.gpus.engine()
	}
	return engine{local.Name, local.New}
}

// openDevice is one rank's device: a GPU, its share of the cores, or the reference.
func (r *Rig) openDevice(c workload.Case, rank int) (kernels.Device, error) {
	switch {
	case c.Device == workload.Ref:
		return ref.New(), nil
	case c.OnGPU():
		return r.gpus.open(c, rank)
	}
	return cpu.New(cpu.Config{Cores: r.rankCores(c, rank), ISA: c.ISA})
}

// supports asks a device about every operator of the case.
func (r *Rig) supports(c workload.Case) error {
	if c.IsGorgonia() {
		return r.checkGorgonia(c)
	}
	cfg := c.Training()
	if err := r.kernels(c, question{cfg.Model.Precision.Compute, cfg.Model.Precision.Math, cfg.Model.Layout.Format, c.ISA, cfg.Model.Experts.Count > 0}); err != nil {
		return err
	}
	return trainer.Check(cfg, c.Strategy())
}

// kernels asks a device about the operators of a case. It is asked once about each kind of operands: a GPU takes long to open, and a search asks about a thousand cases.
// Of one that does not open now the case itself will tell.
func (r *Rig) kernels(c workload.Case, q question) error {
	if answer, asked := r.answers[q]; asked {
		return answer
	}
	dev, err := r.open(c, 0)
	if errors.As(err, new(failedToOpen)) {
		return nil
	}
	if err == nil {
		err = errors.Join(q.ask(dev), dev.Close())
	}
	r.answers[q] = err
	return err
}

// question is what decides whether a device has the kernels of a case.
type question struct {
	compute kernels.DType
	math    kernels.DType // of products; 0: compute
	format  kernels.Format
	variant string
	experts bool
}

func (q question) ask(dev kernels.Device) error {
	for _, op := range kernels.OpNames {
		if op == kernels.OpExperts && !q.experts {
			continue
		}
		if err := dev.Supports(op, q.compute, q.format); err != nil {
			return err
		}
	}
	if q.math == 0 {
		return nil
	}
	return dev.Supports(kernels.OpLinear, q.math, q.format)
}
