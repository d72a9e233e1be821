package compare

import "ofpeak/results/stats"

// Verdict says how the other file's speed stands to the base's.
type Verdict string

// Verdicts.
const (
	Same    Verdict = "SAME"    // the whole interval lies within the threshold
	Faster  Verdict = "FASTER"  // significant, and the whole interval lies above the threshold
	Slower  Verdict = "SLOWER"  // significant, and the whole interval lies below the threshold
	Unclear Verdict = "UNCLEAR" // too few samples, or the interval straddles the threshold
)

// Judge gives the verdict on a ratio of throughputs, and for Unclear the reason. Below a threshold of t percent two speeds count as the same: the ratio lies
// between 1 - t/100 and 1 + t/100.
func Judge(r stats.Ratio, thresholdPct float64) (Verdict, string) {
	low, bounded := r.Low.Get()
	high := r.High.Or(low)
	least, most := 1-thresholdPct/100, 1+thresholdPct/100
	switch {
	case !bounded:
		return Unclear, "too few samples"
	case low >= least && high <= most:
		return Same, ""
	case low > most && r.Significant():
		return Faster, ""
	case high < least && r.Significant():
		return Slower, ""
	}
	return Unclear, "the interval straddles the threshold"
}
