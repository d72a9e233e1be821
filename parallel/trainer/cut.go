package trainer

import (
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/partition"
	"ofpeak/parallel/pp"
)

// Cut is the pipeline's stages for a run; see Trainer.Cuts.
func Cut(cfg Config, s parallel.Strategy) ([]int, error) {
	s = s.Normal()
	c := Microbatch(cfg.Model, s)
	p := partition.Problem{Layers: cfg.Costs, Stages: s.PP * s.Chunks}
	if p.Layers == nil {
		p.Layers = Modelled(c)
	}
	if s.StageBytes > 0 {
		p.Limit = max(1, (s.StageBytes-shared(c, s))/int64(s.Chunks))
	}
	p.InFlight = func(stage int) int { return inFlight(c, s, stage%s.PP, stage/s.PP) }
	if s.EqualStages {
		return partition.Equal(p)
	}
	return partition.Optimal(p)
}

// shared bounds what any rank holds besides its layers: the blocks' scratch, the gradients of activations, the inputs of its slots, and the batch's
// inputs or targets, or both where one rank is first and last.
func shared(c block.Config, s parallel.Strategy) int64 {
	const states = 1 << 10 // of losses and loss scales
	most := 0
	for rank := range s.PP {
		tensors := gradPlaces(s, training(s, rank))
		for chunk := range s.Chunks {
			tensors += inFlight(c, s, rank, chunk)
		}
		most = max(most, tensors)
	}
	most += s.Microbatches
	if s.PP == 1 {
		most += s.Microbatches
	}
	return c.ScratchBytes() + gatheredBytes(c, s) + c.SlotBytes() + c.PartialBytes() + int64(most)*c.InputBytes() + states
}

// training is a rank's part of the schedule.
func training(s parallel.Strategy, rank int) []pp.Action {
	schedule, _ := pp.Named(s.Schedule, s.Chunks)
	return schedule(rank, s.PP, s.Microbatches)
}

// gradPlaces is the number of activation gradients that a rank holds; in a pipeline one more, to receive the next meanwhile.
func gradPlaces(s parallel.Strategy, training []pp.Action) int {
	if s.PP == 1 {
		return 1
	}
	return pp.LiveGrads(training) + 1
}

// slots is the number of microbatches of a chunk that a rank holds; where it only infers, one more, to receive the next meanwhile.
func slots(s parallel.Strategy, training, inference []pp.Action, chunk int) int {
	if training != nil {
		return max(pp.Live(training, chunk), pp.Live(inference, chunk))
	}
	return min(s.Microbatches, pp.Live(inference, chunk)+1)
}

// inFlight is slots for any rank.
func inFlight(c block.Config, s parallel.Strategy, rank, chunk int) int {
	inference := pp.InterleavedInference(s.Chunks)(rank, s.PP, s.Microbatches)
	if c.Forward {
		return slots(s, nil, inference, chunk)
	}
	return slots(s, training(s, rank), inference, chunk)
}

// Modelled are the layers' costs by block's model, in FLOPs and bytes.
func Modelled(c block.Config) []partition.Layer {
	var ls []partition.Layer
	for _, l := range c.Costs() {
		ls = append(ls, partition.Layer{
			Time:   l.Forward.Executed.Total() + l.Backward.Executed.Total(),
			Static: l.Weights + l.Grads + l.Optimizer,
			Live:   l.Acts,
		})
	}
	return ls
}
