package rig

import (
	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// FillPublished sets what follows from a case and its median step time alone: throughput, FLOPs, and the shares of the peaks that were published for the
// chip. Of a chip without a name there are none.
func FillPublished(row *results.Row, c workload.Case, chip chips.Chip) {
	seconds := row.StepMedianS.Or(0)
	row.TokensPerStep = results.Some(int64(c.Model.Tokens()))
	row.TokensPerS = results.Finite(float64(c.Model.Tokens()) / seconds)
	fillFLOPs(row, c, seconds)
	if chip.Name != "" {
		fillPublishedShares(row, c, seconds, chip)
	}
}

func fillPublishedShares(row *results.Row, c workload.Case, seconds float64, chip chips.Chip) {
	w, ranks := work(c), float64(c.World())
	model, executed := works(w.Model, ranks), works(w.Executed, ranks)
	row.ShareSurveyPct, row.ShareSurveyBasis = chips.Share(model, seconds, chip.SurveyPeak)
	row.HFUSurveyPct, _ = chips.Share(executed, seconds, chip.SurveyPeak)
	row.ShareVendorPct, row.ShareVendorBasis = chips.Share(model, seconds, chip.Vendor)
	row.HFUVendorPct, _ = chips.Share(executed, seconds, chip.Vendor)
}
