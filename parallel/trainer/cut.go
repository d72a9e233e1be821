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
	c := microbatch(cfg.Model, s)
	p := partition.Problem{Layers: cfg.Costs, Stages: s.PP}
	if p.Layers == nil {
		p.Layers = modelled(c)
	}
	if s.StageBytes > 0 {
		p.Limit = max(1, s.StageBytes-shared(c, s))
	}
	p.InFlight = func(stage int) int { return inFlight(c, s, stage) }
	if s.EqualStages {
		return partition.Equal(p)
	}
	return partition.Optimal(p)
}

// shared bounds what any stage holds besides its layers: the blocks' scratch, two activation gradients, the inputs of its slots, and the batch's
// inputs or targets, or both where one stage is first and last.
func shared(c block.Config, s parallel.Strategy) int64 {
	const states = 1 << 10 // of losses and loss scales
	tensors := 2 + inFlight(c, s, 0) + s.Microbatches
	if s.PP == 1 {
		tensors += s.Microbatches
	}
	return c.ScratchBytes() + c.SlotBytes() + c.PartialBytes() + int64(tensors)*c.InputBytes() + states
}

// inFlight is the number of microbatches that a stage holds at once.
func inFlight(c block.Config, s parallel.Strategy, stage int) int {
	if c.Forward {
		return min(2, s.Microbatches)
	}
	schedule, _ := pp.Named(s.Schedule)
	return pp.Live(schedule(stage, s.PP, s.Microbatches))
}

// modelled are the layers' costs by block's model, in FLOPs and bytes.
func modelled(c block.Config) []partition.Layer {
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
