// Package waterfall says where the time of a training step went, from recorded timelines of all its ranks: how much the measured peak would
// have taken, and what each cause took beyond that. It reads no clock and knows no device.
//
// Each moment of a rank's compute stream, from the step's begin to the end of the slowest rank, belongs to exactly one part, so that the parts
// add up to the step. Communication and other ranks count only where the compute stream stands still.
package waterfall

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/trace"
	"ofpeak/results/stats"
)

// Step is one step of all ranks, recorded on one clock.
type Step []trace.Timeline

// Length is the time of the slowest rank.
func (s Step) Length() time.Duration { return s.slowest().Length }

func (s Step) slowest() trace.Timeline {
	return slices.MaxFunc(s, func(a, b trace.Timeline) int { return cmp.Compare(a.Length, b.Length) })
}

// Peak is a type's peak on one rank in FLOP/s, if it is known.
type Peak func(t kernels.DType) (rate float64, ok bool)

// Parts are seconds of a step, the mean over the ranks.
type Parts struct {
	// Ideal is the model FLOPs at the peak. Without a peak it is unknown and 0, and Matmul and Attention are whole.
	Ideal      float64
	IdealKnown bool
	// Matmul and Attention are what they took beyond their ideal.
	Matmul, Attention float64
	Memory            float64 // operators bound by memory
	Recompute         float64 // forward operators in the backward pass
	Optimizer         float64
	Comm              float64 // data move
	Bubble            float64 // waiting for a rank of another stage
	Imbalance         float64 // waiting for a rank of the same stage
	Host              float64 // the compute stream has nothing to do
	Throttle          float64 // what the clock of the peak's measurement would have saved
}

// Total is the step's time.
func (p Parts) Total() float64 {
	sum := 0.0
	for _, v := range p.all() {
		sum += *v
	}
	return sum
}

func (p *Parts) all() []*float64 {
	return []*float64{&p.Ideal, &p.Matmul, &p.Attention, &p.Memory, &p.Recompute, &p.Optimizer, &p.Comm, &p.Bubble, &p.Imbalance, &p.Host, &p.Throttle}
}

// Analysis is what profiled steps tell of a step of Seconds.
type Analysis struct {
	Parts
	Profiled float64 // seconds of the profiled step, before scaling
	Ops      []Op
}

// Op is a kind of operator: seconds, FLOPs and bytes of one step on one rank, the mean over ranks.
type Op struct {
	Name                  string
	Seconds, FLOPs, Bytes float64
}

// Analyze takes the half of some profiled steps whose length is nearest to a step of so many seconds, and scales it to that. clock is the cores' clock
// over that at which the peak was measured; above 1, or 0 for unknown, it explains nothing. There must be a step.
func Analyze(steps []Step, seconds float64, peak Peak, clock float64) Analysis {
	steps = nearest(steps, seconds)
	var a Analysis
	w := weigher{known: true, peak: peak}
	ops := map[string]*Op{}
	share := 0.0 // of a rank in the mean
	for _, s := range steps {
		share = 1 / float64(len(s)*len(steps))
		a.Profiled += s.Length().Seconds() / float64(len(steps))
		w.step(s, share)
		addOps(ops, s, share)
	}
	scale := seconds / a.Profiled
	a.Parts = w.finish(scale, clock)
	for _, op := range ops {
		op.Seconds *= scale
		a.Ops = append(a.Ops, *op)
	}
	slices.SortFunc(a.Ops, func(x, y Op) int {
		return cmp.Or(cmp.Compare(y.Seconds, x.Seconds), strings.Compare(x.Name, y.Name))
	})
	return a
}

// nearest is the half of the steps whose length differs least from so many seconds: a burst of noise in one is not in the others.
func nearest(steps []Step, seconds float64) []Step {
	return stats.NearestHalf(steps, seconds, func(s Step) float64 { return s.Length().Seconds() })
}

// Nearest is the step whose length differs least from so many seconds, the one to show for all. There must be a step.
func Nearest(steps []Step, seconds float64) Step { return nearest(steps, seconds)[0] }

func addOps(ops map[string]*Op, s Step, share float64) {
	for _, line := range s {
		for _, track := range line.Tracks {
			for _, sp := range track.Spans {
				if sp.Kind == trace.Wait {
					continue
				}
				op := ops[sp.Op]
				if op == nil {
					op = &Op{Name: sp.Op}
					ops[sp.Op] = op
				}
				op.Seconds += share * (sp.End - sp.Begin).Seconds()
				op.FLOPs += share * sp.FLOPs
				op.Bytes += share * sp.Bytes
			}
		}
	}
}
