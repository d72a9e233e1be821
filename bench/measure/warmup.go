package measure

import (
	"math"

	"ofpeak/results/stats"
)

// How a warm-up ended.
const (
	Steady   = "steady"
	Unsteady = "unsteady" // the step time still changed when SettleSeconds were spent
	Short    = "short"    // SettleSeconds were spent on too few steps to tell
)

// leastQuarter is the number of steps in a quarter of a warm-up from which on it is judged: medians of fewer say little.
const leastQuarter = 6

// steadyPct is the change, in percent, below which a step time is steady.
const steadyPct = 1

// warmUp steps without sampling: as long as the rule demands at least, and then until the step time is steady or SettleSeconds are spent.
func warmUp(rule Rule, step func() (float64, error)) (Result, error) {
	var r Result
	var times []float64
	look := 4 * leastQuarter
	for spent := 0.0; ; {
		if n := len(times); n >= rule.WarmupSteps && spent >= rule.WarmupSeconds {
			if n >= look {
				look = n + n/10 + 1
				if steady(times) {
					r.Warmup = Steady
					return r, nil
				}
			}
			if spent >= rule.SettleSeconds {
				r.Warmup = Unsteady
				if n < 4*leastQuarter {
					r.Warmup = Short
				}
				return r, nil
			}
		}
		seconds, err := timed(step)
		if err != nil {
			return r, err
		}
		spent += seconds
		times = append(times, seconds)
		r.WarmupSteps++
	}
}

// steady compares the third quarter of a warm-up with its last: the step time is steady if their medians differ by no more than steadyPct, or than the noise
// explains. As the warm-up grows so do the quarters, what was cold falls out of them, and ever slower drifts are seen.
func steady(times []float64) bool {
	w := len(times) / 4
	last := times[len(times)-w:]
	before := times[len(times)-2*w : len(times)-w]
	a, b := median(before), median(last)
	explained := 2 * noise(times[len(times)-2*w:]) * math.Sqrt(2/float64(w))
	return math.Abs(b-a) <= max(steadyPct/100.0*a, explained)
}

// noise is the standard error of a median of one step: 1.25 times the standard deviation, which comes from the differences of neighbours, so that a drift counts as
// none (von Neumann et al., Ann. Math. Stat. 12, 1941). Their median is taken, so that a few disturbed steps count little: it is 0.954 standard deviations of a
// normal distribution.
func noise(times []float64) float64 {
	var steps []float64
	for i := range times[1:] {
		steps = append(steps, math.Abs(times[i+1]-times[i]))
	}
	return 1.2533 * median(steps) / 0.954
}

func median(v []float64) float64 { return stats.Summarize(v).Median }
