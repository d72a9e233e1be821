package trainer

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
)

// Memory is what each pipeline rank takes of its device to train (or to infer), in bytes, by the sizes of all that New allocates; ranks of the other axes take the same.
// It leaves out what collectives take of a device, and the teacher of SetRegression.
func Memory(cfg Config, s parallel.Strategy) ([]int64, error) {
	if err := Check(cfg, s); err != nil {
		return nil, err
	}
	s = s.Normal()
	cuts, err := Cut(cfg, s)
	if err != nil {
		return nil, err
	}
	ranks := make([]int64, s.PP)
	for rank := range ranks {
		c := Microbatch(cfg.Model, s)
		c.Chunks = chunks(cuts, s, rank)
		ranks[rank] = stageBytes(c) + gatheredBytes(c, s) + passBytes(c, s, rank)
	}
	return ranks, nil
}

// chunks are the layers that a pipeline rank holds.
func chunks(cuts []int, s parallel.Strategy, rank int) []block.Range {
	var ranges []block.Range
	for stage := rank; stage < len(cuts)-1; stage += s.PP {
		ranges = append(ranges, block.Range{Lo: cuts[stage], Hi: cuts[stage+1]})
	}
	return ranges
}

// stageBytes is what a stage takes whatever is in flight, and what its ranks share.
func stageBytes(c block.Config) int64 {
	bytes := c.ScratchBytes() + c.SlotBytes() + c.PartialBytes() + int64(kernels.StateLen+1)*int64(c.Precision.Stats.Size())
	if c.Experts.Count > 0 {
		bytes += 2 * int64(kernels.RouteLen*c.Precision.Stats.Size())
	}
	for _, l := range c.Costs() {
		bytes += l.Weights + l.Grads + l.Optimizer
	}
	return bytes
}

// besides reports whether tensor-parallel calls of a stage go on beside products: in the passes of its blocks.
func besides(c block.Config, s parallel.Strategy) bool {
	return s.Aside && c.HasBlocks()
}

// gathered is how many memories for all tokens tp.Sequence has: one, in training one more, and one more where calls go on beside products.
func gathered(c block.Config, s parallel.Strategy) int {
	switch {
	case c.Forward || !c.HasBlocks():
		return 1
	case besides(c, s):
		return 3
	}
	return 2
}

// gatheredBytes is what they take with sequence parallelism beyond the first, which is part of a stage's scratch.
func gatheredBytes(c block.Config, s parallel.Strategy) int64 {
	if !s.Sequence {
		return 0
	}
	return int64((gathered(c, s)-1)*s.TP) * c.InputBytes()
}

// passBytes is what a rank takes for the microbatches that it holds: activations, their gradients, inputs, targets, and the loss.
func passBytes(c block.Config, s parallel.Strategy, rank int) int64 {
	bytes, data := int64(c.Precision.Stats.Size()), int64(0) // data of one microbatch
	for i, r := range c.Chunks {
		one := c
		one.Chunks = []block.Range{r}
		acts := c.InputBytes()
		if r.Lo == 0 && c.V == 0 {
			acts, data = 0, c.InputBytes() // passes read the data where it is
		}
		for _, l := range one.Costs() {
			acts += l.Acts - c.DataBytes(l.Kind)
			data += c.DataBytes(l.Kind)
		}
		bytes += int64(inFlight(c, s, rank, i)) * acts
	}
	if !c.Forward {
		bytes += int64(gradPlaces(s, training(s, rank))) * c.InputBytes()
	}
	return bytes + int64(s.Microbatches)*data
}
