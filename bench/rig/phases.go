package rig

import (
	"ofpeak/parallel/trainer"
	"ofpeak/results/stats"
)

// phases are seconds of one step, of the rank where each is longest.
type phases struct{ Forward, Backward, Optimizer, Comm, Exposed, Bubble float64 }

// typical are a rank's phases in the step that is the samples' median: the mean over the half of the steps that is nearest to it, scaled by the median over those
// steps' mean, as in the waterfall. So the phases of a compute stream add up to no more than the step beside which they are reported. Samples are the same on all ranks,
// and so are the steps that count.
func typical(reports []trainer.Report, samples []float64) phases {
	type step struct {
		trainer.Report
		seconds float64
	}
	var steps []step
	for i := range min(len(reports), len(samples)) {
		steps = append(steps, step{reports[i], samples[i]})
	}
	if len(steps) == 0 {
		return phases{}
	}
	var sum phases
	median, spent := stats.Summarize(samples).Median, 0.0
	for _, s := range stats.NearestHalf(steps, median, func(s step) float64 { return s.seconds }) {
		sum = sum.each(phases{s.Forward.Seconds(), s.Backward.Seconds(), s.Optimizer.Seconds(), s.Communication.Seconds(), s.Exposed.Seconds(), s.Bubble.Seconds()},
			func(a, b float64) float64 { return a + b })
		spent += s.seconds
	}
	return sum.each(phases{}, func(a, _ float64) float64 { return a * median / spent })
}

// each combines two ranks' or two steps' phases, one by one.
func (p phases) each(q phases, f func(a, b float64) float64) phases {
	return phases{f(p.Forward, q.Forward), f(p.Backward, q.Backward), f(p.Optimizer, q.Optimizer), f(p.Comm, q.Comm), f(p.Exposed, q.Exposed), f(p.Bubble, q.Bubble)}
}
