package validity

import (
	"slices"

	"ofpeak/results"
)

const (
	leastStretch  = 3 // readings
	mostStretches = 12
)

// ClockChangePct is by how many percent the clock changed over readings of host.ClockGlance taken one after the other: what its slowest stretch lacks to its
// fastest. Each stretch counts with its best reading, since whatever else goes on can only make a reading slower. Fewer than two stretches tell nothing.
func ClockChangePct(readings []float64) results.Opt[float64] {
	n := min(mostStretches, len(readings)/leastStretch)
	if n < 2 {
		return results.Opt[float64]{}
	}
	var best []float64
	for i := range n {
		best = append(best, slices.Max(readings[i*len(readings)/n:(i+1)*len(readings)/n]))
	}
	return results.Finite((1 - slices.Min(best)/slices.Max(best)) * 100)
}
