// Package parallel says how a model's training is split over ranks, and starts the ranks. A Strategy is data; a Mesh places ranks on its
// axes; a Rank is what one of them works with; a Launcher runs a body as every rank of a world. The techniques themselves are in dp,
// tp, pp and cp, and trainer composes them.
//
// It does not schedule jobs on machines: a launcher of the field starts processes, and this package runs inside them.
package parallel

import (
	"fmt"
	"strings"

	"ofpeak/parallel/pp"
)

// Strategy splits one training run. The zero Strategy is one rank; every field's zero is its default.
type Strategy struct {
	DP int // data-parallel ranks: the batch is split
	TP int // tensor-parallel ranks: every layer is split
	PP int // pipeline stages: the list of layers is split
	EP int // expert-parallel ranks: the batch is split, and the experts of each block
	CP int // context-parallel ranks: every sequence is split

	// Sequence splits the tokens over the tensor-parallel ranks where a block has no product; see tp.Sequence.
	Sequence bool
	// Schedule names one of pp.Names; "" is "1f1b".
	Schedule string
	// Chunks are the stages that each rank of the "interleaved" schedule holds, up to pp.MaxChunks; others hold one.
	Chunks int
	// Microbatches are what each data-parallel rank cuts its share of the batch into.
	Microbatches int
	// BucketBytes is the size of the ranges in which gradients are all-reduced while the backward still runs; 0 is DefaultBucket.
	BucketBytes int64
	// Naive has the compute stream wait for all communication between ranks that share a layer: gradients are summed at once after the backward pass, and a ring's hops are
	// waited for where they begin.
	Naive bool
	// Aside has tensor-parallel sums, and with Sequence gathers, go on beside products: forward in two halves of the tokens, if these have halves; see tp.Aside.
	Aside bool
	// ZeRO spreads over the data-, expert- and context-parallel ranks that hold the same: 1 the optimizer state, 2 also the gradients, 3 also the weights; see
	// dp.Sharded.
	ZeRO int
	// EqualStages cuts the pipeline by equal counts of layers instead of by cost.
	EqualStages bool
	// StageBytes is the memory that the partitioner allows a stage; 0 means any.
	StageBytes int64
}

// DefaultBucket is PyTorch DDP's bucket_cap_mb of 25 (Li et al., "PyTorch Distributed", arXiv:2006.15704, section 3.2.3).
const DefaultBucket = 25 << 20

// Normal fills in the defaults.
func (s Strategy) Normal() Strategy {
	s.DP, s.TP, s.PP, s.EP, s.CP = max(s.DP, 1), max(s.TP, 1), max(s.PP, 1), max(s.EP, 1), max(s.CP, 1)
	s.Chunks, s.Microbatches = max(s.Chunks, 1), max(s.Microbatches, 1)
	if s.Schedule == "" {
		s.Schedule = "1f1b"
	}
	if s.BucketBytes == 0 {
		s.BucketBytes = DefaultBucket
	}
	return s
}

// Check is nil if a world of so many ranks can run the strategy on a global batch of so many sequences.
func (s Strategy) Check(world, batch int) error {
	if s.DP < 0 || s.TP < 0 || s.PP < 0 || s.EP < 0 || s.CP < 0 || s.Microbatches < 0 || s.BucketBytes < 0 || s.StageBytes < 0 || s.Chunks < 0 {
		return fmt.Errorf("dp, tp, pp, ep, cp, chunks, microbatches and bytes cannot be negative: leave out what is not wanted")
	}
	s = s.Normal()
	m := s.Mesh()
	if m.World() != world {
		return fmt.Errorf("dp·tp·pp·ep·cp = %d·%d·%d·%d·%d = %d does not make a world of %d ranks: use %d ranks or other factors",
			s.DP, s.TP, s.PP, s.EP, s.CP, m.World(), world, m.World())
	}
	switch {
	case s.ZeRO < 0 || s.ZeRO > 3:
		return fmt.Errorf("zero=%d is none of ZeRO's stages 1 to 3: use one of them, or 0 for none", s.ZeRO)
	case s.ZeRO > 0 && s.DP*s.EP*s.CP == 1:
		return fmt.Errorf("zero=%d spreads over data-, expert- and context-parallel ranks: use dp, ep or cp of 2 or more", s.ZeRO)
	case s.ZeRO > 0 && s.Naive:
		return fmt.Errorf("zero=%d exchanges buckets: use no naive sum with it", s.ZeRO)
	}
	if s.Aside && (s.TP == 1 || s.Naive) {
		return fmt.Errorf("tensor-parallel calls beside products need tp of 2 or more, and no naive sums")
	}
	if s.Sequence && s.TP == 1 {
		return fmt.Errorf("sequence parallelism spreads tokens over tensor-parallel ranks: use tp of 2 or more")
	}
	if _, ok := pp.Named(s.Schedule, s.Chunks); !ok {
		return fmt.Errorf("unknown schedule %q: use one of %s", s.Schedule, strings.Join(pp.Names, ", "))
	}
	switch {
	case s.Chunks > 1 && (s.Schedule != "interleaved" || s.PP == 1):
		return fmt.Errorf("chunks=%d are of ranks in an interleaved pipeline: use pp of 2 or more and schedule interleaved", s.Chunks)
	case s.Chunks > pp.MaxChunks:
		return fmt.Errorf("chunks=%d are more than %d: use fewer", s.Chunks, pp.MaxChunks)
	}
	if s.ZeRO >= 2 && s.Schedule == "zb-h1" {
		return fmt.Errorf("zero=%d hands on a layer's gradients when its backward pass ends, which %s does in two parts: use zero=1 or 1f1b", s.ZeRO, s.Schedule)
	}
	if parts := s.DP * s.EP * s.Microbatches; batch%parts != 0 {
		return fmt.Errorf("a batch of %d does not divide into dp·ep·microbatches = %d·%d·%d: use a batch of %d",
			batch, s.DP, s.EP, s.Microbatches, (batch/parts+1)*parts)
	}
	return nil
}

// Mesh is the strategy's arrangement of ranks.
func (s Strategy) Mesh() Mesh {
	s = s.Normal()
	return Mesh{DP: s.DP, TP: s.TP, PP: s.PP, EP: s.EP, CP: s.CP}
}

// String is the strategy as a case line shows it, such as "dp2·tp2·pp2 1f1b m4".
func (s Strategy) String() string {
	s = s.Normal()
	var axes []string
	for _, a := range []struct {
		name string
		size int
	}{{"dp", s.DP}, {"tp", s.TP}, {"pp", s.PP}, {"ep", s.EP}, {"cp", s.CP}} {
		if a.size > 1 {
			axes = append(axes, fmt.Sprintf("%s%d", a.name, a.size))
		}
	}
	text := strings.Join(axes, "·")
	if text == "" {
		text = "one rank"
	}
	if s.Sequence {
		text += " sequence"
	}
	if s.Aside {
		text += " aside"
	}
	if s.ZeRO > 0 {
		text += fmt.Sprintf(" zero%d", s.ZeRO)
	}
	if s.PP > 1 {
		text += " " + s.Schedule
	}
	if s.Chunks > 1 {
		text += fmt.Sprintf(" v%d", s.Chunks)
	}
	if s.Microbatches > 1 {
		text += fmt.Sprintf(" m%d", s.Microbatches)
	}
	return text
}
