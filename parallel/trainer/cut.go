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
		// What a stage holds besides its layers, at most: the blocks' scratch, two activation gradients and every slot's input.
		shared := c.ScratchBytes() + int64(2+inFlight(c, s, 0))*c.InputBytes()
		p.Limit = max(1, s.StageBytes-shared)
	}
	p.InFlight = func(stage int) int { return inFlight(c, s, stage) }
	if s.EqualStages {
		return partition.Equal(p)
	}
	return partition.Optimal(p)
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
