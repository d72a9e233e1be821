package rig

import (
	"context"
	"runtime"
	"time"

	"ofpeak/bench/host"
	"ofpeak/bench/measure"
	"ofpeak/bench/workload"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu/blas"
	"ofpeak/kernels/gograph"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
)

// checkGorgonia is nil if the Gorgonia graph covers the case. The graph of the real model would take seconds to build; a small one tells as well.
func (r *Rig) checkGorgonia(c workload.Case) error {
	undo, _, err := r.useBLAS(c)
	if err != nil {
		return err
	}
	undo()
	e, err := gograph.New(verifiable(c).Training().Model)
	if err != nil {
		return err
	}
	return e.Close()
}

// useBLAS puts our product below Gorgonia's graphs if that is the case's engine, until undo. variants names what runs, or nothing.
func (r *Rig) useBLAS(c workload.Case) (undo func(), variants string, err error) {
	if c.Engine != workload.GorgoniaBLAS {
		return func() {}, "", nil
	}
	b := blas.New(c.RankThreads(len(r.cores)))
	if err := b.Select(c.ISA); err != nil {
		b.Close()
		return nil, "", err
	}
	restore := gograph.UseBLAS(b)
	return func() {
		restore()
		b.Close()
	}, "sgemm=" + b.Variant(), nil
}

// measureGorgonia steps the Gorgonia graph. Gorgonia splits its products over GOMAXPROCS goroutines, so that is how it gets the case's cores.
func (r *Rig) measureGorgonia(ctx context.Context, c workload.Case) (measurement, error) {
	var m measurement
	e, err := r.graph(ctx, c)
	if err != nil {
		return m, err
	}
	defer e.Close()
	undo, variants, err := r.useBLAS(c)
	if err != nil {
		return m, err
	}
	defer undo()
	m.variants = variants
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.RankThreads(len(r.cores))))
	runtime.GC() // what built the graph is no part of a step
	var losses []float64
	watched := r.watch(c)
	m.Result, err = measure.Run(r.rule, func() (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		start := time.Now()
		loss, err := e.Step(block.DefaultHyper)
		losses = append(losses, loss)
		return time.Since(start).Seconds(), err
	})
	m.conditions = watched()
	if len(losses) > 0 {
		m.lossFirst, m.lossLast = losses[0], losses[len(losses)-1]
	}
	m.processBytes, m.processKnown = host.PeakMemory()
	return m, err
}

// snapshotGorgonia takes the gradients of one step.
func (r *Rig) snapshotGorgonia(ctx context.Context, c workload.Case) (snapshot, error) {
	s := snapshot{tensors: map[string][]float64{}}
	e, err := r.graph(ctx, c)
	if err != nil {
		return s, err
	}
	defer e.Close()
	undo, _, err := r.useBLAS(c)
	if err != nil {
		return s, err
	}
	defer undo()
	if s.loss, err = e.Run(); err != nil {
		return s, err
	}
	for _, name := range e.Names() {
		s.tensors[name] = e.Grad(name)
	}
	return s, nil
}

// graph builds the case's graph with the weights and the batch that a native rank starts from.
func (r *Rig) graph(ctx context.Context, c workload.Case) (*gograph.Engine, error) {
	e, err := gograph.New(c.Training().Model)
	if err != nil {
		return nil, err
	}
	native := c
	native.Engine = workload.Native
	err = r.launcher(native).Run(ctx, native.Strategy(), func(_ context.Context, rank *parallel.Rank) error {
		t, err := trainer.New(rank, native.Training())
		if err != nil {
			return err
		}
		if err := setBatch(t, native, r.corpus, 0); err != nil {
			return err
		}
		x, target, err := t.Regression()
		if err != nil {
			return err
		}
		e.Load("x", x)
		e.Load("target", target)
		return e.LoadStage(rank.Compute, t.Stage)
	})
	if err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}
