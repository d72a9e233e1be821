package sweep

import (
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// relate fills the columns that compare a row with earlier ones of its run. done holds tokens/s, c's own included.
//
// speedup_vs_baseline is tokens/s over those of workload.BaselineOf(c), dense fp32 on one rank with all cores. scaling_efficiency of R ranks is
// tokens/s over R times those of workload.OneRankOf(c), the same on one rank with as many cores as each of the R has: 1 means that the ranks
// do not disturb each other at all. Without that other row the column stays empty.
func relate(row *results.Row, c workload.Case, cores int, done map[workload.Case]float64) {
	if base, ok := done[workload.BaselineOf(c)]; ok {
		row.SpeedupVsBaseline = results.Finite(done[c] / base)
	}
	if one, ok := done[workload.OneRankOf(c, cores)]; ok && c.World() > 1 {
		row.ScalingEfficiency = results.Finite(done[c] / (float64(c.World()) * one))
	}
}
