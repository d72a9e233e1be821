// Package measure decides how often one case is stepped: it warms up until the step time is steady, keeps apart what was cold, and samples until the
// median is known well enough or the time is spent. It reads no clock: a step reports its own seconds, so that all ranks of a world, given the same (largest)
// time of each step, stop at the same step without talking about it. Statistics of samples are in results/stats.
package measure

import (
	"fmt"

	"ofpeak/results/stats"
)

// Rule says when a case has been measured enough. Times are sums of step times in seconds.
type Rule struct {
	WarmupSteps   int     // at least so many steps before the first sample
	WarmupSeconds float64 // and at least so long
	SettleSeconds float64 // and then until the step time is steady, but no longer than so long in all
	MinSamples    int     // a 95 % interval of a median needs six
	MaxSamples    int
	TargetPct     float64 // enough: half the median's 95 % interval is within so many percent of it
	Seconds       float64 // after so long MinSamples are enough, unless UntilStable
	LimitSeconds  float64 // after so long what there is must be enough
	UntilStable   bool    // only the target, the limit and MaxSamples end it
}

// The rules of the suites. A bound on the samples keeps the row short where a step takes microseconds.
var (
	Smoke = Rule{WarmupSteps: 2, WarmupSeconds: 0.02, SettleSeconds: 0.1, MinSamples: 6, MaxSamples: 200, TargetPct: 5, Seconds: 0.1, LimitSeconds: 1}
	Quick = Rule{WarmupSteps: 2, WarmupSeconds: 0.2, SettleSeconds: 2, MinSamples: 6, MaxSamples: 500, TargetPct: 1, Seconds: 2, LimitSeconds: 30}
	Full  = Rule{WarmupSteps: 3, WarmupSeconds: 1, SettleSeconds: 30, MinSamples: 10, MaxSamples: 1000, TargetPct: 0.5, Seconds: 10, LimitSeconds: 300}
)

// Check is nil, or says in one line which part of the rule makes no sense.
func (r Rule) Check() error {
	switch {
	case r.WarmupSteps < 0 || !(r.WarmupSeconds >= 0) || !(r.SettleSeconds >= 0):
		return fmt.Errorf("warm-up of %d steps and %g to %g s is negative", r.WarmupSteps, r.WarmupSeconds, r.SettleSeconds)
	case r.MinSamples < 1 || r.MaxSamples < r.MinSamples:
		return fmt.Errorf("from %d to %d samples is no range of positive numbers", r.MinSamples, r.MaxSamples)
	case !(r.TargetPct >= 0) || !(r.Seconds >= 0) || !(r.LimitSeconds >= r.Seconds):
		return fmt.Errorf("a --target of %g %% within --seconds %g to --limit %g cannot be kept; the limit must be the larger", r.TargetPct, r.Seconds, r.LimitSeconds)
	}
	return nil
}

// Reasons for which sampling ended.
const (
	Precise = "precise" // the interval is within the target
	Samples = "samples" // MaxSamples
	Time    = "time"    // Seconds or LimitSeconds
)

// Result is what was sampled.
type Result struct {
	WarmupSteps int
	Warmup      string    // how it ended: Steady, Unsteady or Short; "" if a step failed
	Samples     []float64 // seconds, in the order taken; none of the warm-up
	Stopped     string    // Precise, Samples or Time; "" if a step failed
}

// Summary is the median of the samples with its interval and spread. There must be at least one.
func (r Result) Summary() stats.Summary { return stats.Summarize(r.Samples) }

// Run steps by the rule. A step returns its time in seconds, the same on all ranks. Its first error ends the run and is returned with what
// was sampled before.
func Run(rule Rule, step func() (seconds float64, err error)) (Result, error) {
	r, err := warmUp(rule, step)
	if err != nil {
		return r, err
	}
	look := rule.MinSamples
	for spent := 0.0; r.Stopped == ""; r.Stopped = rule.stop(r.Samples, spent, &look) {
		seconds, err := timed(step)
		if err != nil {
			return r, err
		}
		spent += seconds
		r.Samples = append(r.Samples, seconds)
	}
	return r, nil
}

// timed refuses times that would make the loops endless or the statistics meaningless.
func timed(step func() (float64, error)) (float64, error) {
	seconds, err := step()
	if err == nil && !(seconds > 0) {
		err = fmt.Errorf("a step took %g s: the clock is too coarse for this case; take a larger model", seconds)
	}
	return seconds, err
}

// stop is the reason to end with these samples, which took so many seconds, or "". It looks at their precision after a tenth more samples each time, from
// look on: looking more often would find a lucky moment and make the final interval too narrow.
func (r Rule) stop(samples []float64, spent float64, look *int) string {
	n := len(samples)
	end := ""
	switch {
	case n >= r.MaxSamples:
		end = Samples
	case spent >= r.LimitSeconds, n >= r.MinSamples && spent >= r.Seconds && !r.UntilStable:
		end = Time
	}
	if end == "" && n < *look {
		return ""
	}
	*look = n + n/10 + 1
	if n >= r.MinSamples && precisionPct(stats.Summarize(samples)) <= r.TargetPct {
		return Precise
	}
	return end
}

// Caution is what a reader of samples that were to become stable and did not should know, or "".
func (r Rule) Caution(got Result) string {
	if !r.UntilStable || got.Stopped == "" || got.Stopped == Precise {
		return ""
	}
	return fmt.Sprintf("not stable: the median of %d samples is known within %.2g %%, not %g %%", len(got.Samples), precisionPct(got.Summary()), r.TargetPct)
}

// precisionPct is half the interval's width in percent of the median, or more than any target without an interval.
func precisionPct(s stats.Summary) float64 {
	low, ok := s.Low.Get()
	if !ok {
		return 1e300
	}
	return (s.High.Or(low) - low) / 2 / s.Median * 100
}
