package rig

import (
	"strings"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
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
	vendor := asRan(row, chip.Vendor)
	row.ShareVendorPct, row.ShareVendorBasis = chips.Share(model, seconds, vendor)
	row.HFUVendorPct, _ = chips.Share(executed, seconds, vendor)
}

// asRan is the peak of the units that a type's products went through: our own kernels multiply 8-bit floats on those of bf16.
func asRan(row *results.Row, peak chips.Peak) chips.Peak {
	if !strings.Contains(row.VariantsUsed, "linear=mma") && !strings.Contains(row.VariantsUsed, "linear=fma") {
		return peak
	}
	return func(dtype string, sparse24 bool) (chips.Figure, bool) {
		if dtype == kernels.FP8.String() {
			dtype = kernels.BF16.String()
		}
		return peak(dtype, sparse24)
	}
}
