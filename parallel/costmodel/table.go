// Package costmodel predicts how long a strategy's step takes, from a table of what was measured on the machine at hand: layers on one rank, and collectives between
// ranks. It is for choosing what to measure; it replaces no measurement.
//
// The model knows nothing of caches, of ranks that disturb each other more in one strategy than in another, or of noise.
package costmodel

import (
	"slices"

	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Line is a time in seconds that grows evenly with an amount.
type Line struct{ Fixed, Each float64 }

// At is the time of so much.
func (l Line) At(amount float64) float64 { return l.Fixed + l.Each*amount }

// Through is the line through the times of a small and a large amount. Noise makes neither part negative; of equal amounts all is proportional.
func Through(small, took, large, tookLarge float64) Line {
	if large <= small {
		return Line{0, took / small}
	}
	each := max(0, (tookLarge-took)/(large-small))
	each = min(each, tookLarge/large)
	return Line{tookLarge - each*large, each}
}

// Passes are the times of a layer, as a tensor-parallel rank has it, by the sequences of a microbatch.
type Passes struct {
	TP                int
	Kind              block.LayerKind
	Forward, Backward Line
}

// Collective is the time of an operation between all ranks by algorithm bytes.
type Collective struct {
	Op comm.Op
	Line
}

// Table is what was measured while as many ranks as the strategies will have were at work.
type Table struct {
	World       int
	Layers      []Passes
	Update      float64 // of a parameter: zeroing and checking its gradient, AdamW
	Collectives []Collective
	// Overlap is the part of the shorter of two works that takes no time of its own when a rank computes and communicates at once: 1 where different hardware does
	// the two, 0 where one core does both.
	Overlap float64
}

// passes is the entry of a layer.
func (t *Table) passes(tp int, kind block.LayerKind) Passes {
	i := slices.IndexFunc(t.Layers, func(p Passes) bool { return p.TP == tp && p.Kind == kind })
	if i < 0 {
		return Passes{}
	}
	return t.Layers[i]
}

// call is the time of a collective between some of the ranks: the busiest link moves BusFactor times the bytes, whatever the number of ranks.
func (t *Table) call(op comm.Op, ranks int, bytes float64) float64 {
	if ranks < 2 || bytes == 0 {
		return 0
	}
	i := slices.IndexFunc(t.Collectives, func(c Collective) bool { return c.Op == op })
	if i < 0 {
		return 0
	}
	c, scale := t.Collectives[i], 1.0
	if f := comm.BusFactor(op, t.World); f > 0 {
		scale = comm.BusFactor(op, ranks) / f
	}
	return c.Fixed + c.Each*scale*bytes
}

// exposed is what communication adds to a computation that it goes on beside.
func (t *Table) exposed(communication, computation float64) float64 {
	return communication - t.Overlap*min(communication, computation)
}
