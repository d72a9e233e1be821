package rig

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/partition"
	"ofpeak/parallel/trainer"
)

// costRuns is how often each layer is timed; the median counts.
const costRuns = 7

// measureCosts times the layers of a case's model, each alone, forward and backward on one microbatch, on every rank at once; the slowest rank's time
// counts, so that all ranks cut alike. The blocks of a model are alike, so one of them is timed.
func measureCosts(ctx context.Context, c workload.Case, rank *parallel.Rank, x *exchange) ([]partition.Layer, error) {
	whole := trainer.Microbatch(c.Training().Model, c.Strategy())
	whole.Sequence, whole.Pieces, whole.Shards, whole.Experts.Ranks = false, 1, block.Shards{}, 1 // what ranks exchange is no part of a layer's cost
	layers, cp := trainer.Modelled(whole), whole.CP
	if whole.CP, whole.CPRank = 1, 0; whole.Batch%cp == 0 { // as many tokens, of whole sequences: a rank's share of attention is all ranks' mean
		whole.Batch /= cp
	}
	seen := map[block.LayerKind]float64{}
	for i, kind := range whole.Layers() {
		if _, timed := seen[kind]; !timed {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			forward, backward, err := timeLayer(rank.Device, rank.Compute, whole, i, costRuns)
			if err != nil {
				return nil, fmt.Errorf("time layer %d: %w", i, err)
			}
			if seen[kind], err = x.largest(forward + backward); err != nil {
				return nil, err
			}
		}
		layers[i].Time = seen[kind]
	}
	return layers, nil
}

// timeLayer gives the median times in seconds of a layer's forward and backward pass, of so many runs.
func timeLayer(dev kernels.Device, s kernels.Stream, c block.Config, layer, runs int) (forward, backward float64, err error) {
	c.Chunks = []block.Range{{Lo: layer, Hi: layer + 1}}
	st, err := block.New(dev, s, c)
	if err != nil {
		return 0, 0, err
	}
	defer st.Close()
	a, err := st.NewActs()
	if err != nil {
		return 0, 0, err
	}
	defer a.Free()
	buf, err := dev.Alloc(c.Precision.Compute, a.In.Size())
	if err != nil {
		return 0, 0, err
	}
	defer buf.Free()
	d := kernels.Of(buf, a.In.Shape...)
	host := make([]float64, d.Size())
	for i := range host {
		host[i] = block.Normal(c.Seed, 0, uint64(i))
	}
	for _, x := range []kernels.Tensor{a.In, d} {
		s.Upload(x, tensor.New(tensor.WithShape(x.Shape...), tensor.WithBacking(host)))
	}
	forward, err = timePass(s, runs, func() {
		st.Run(s, a, nil, nil)
	})
	if err != nil {
		return 0, 0, err
	}
	backward, err = timePass(s, runs, func() {
		if st.Last() {
			st.AddLoss(s, a, d, c.Batch*c.T)
		}
		st.Backward(s, a, d, nil, nil)
	})
	return forward, backward, err
}

// timePass is the median time in seconds of what pass enqueues.
func timePass(s kernels.Stream, runs int, pass func()) (float64, error) {
	var times []float64
	for range runs {
		start := time.Now()
		pass()
		if err := s.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start).Seconds())
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}
