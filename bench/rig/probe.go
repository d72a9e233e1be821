package rig

import (
	"context"
	"fmt"

	"ofpeak/bench/measure"
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// probeSteps are enough to see the loss fall: whatever a step allocates the first has.
var probeSteps = measure.Rule{WarmupSteps: 1, MinSamples: 1, MaxSamples: 1}

// Probe takes a case's first steps. A case of Gorgonia's, whose memory nobody limits, has none.
func (r *Rig) Probe(ctx context.Context, c workload.Case, row *results.Row) {
	m, err := r.firstSteps(ctx, c)
	if ctx.Err() != nil {
		return
	}
	row.VariantsUsed, row.PeakBytesPerRank = m.variants, positive(m.peakBytes)
	switch {
	case err != nil:
		row.Settle(failure(c, err), firstLine(err))
	case m.diverged():
		row.Settle(results.Wrong, fmt.Sprintf("the loss went from %g to %g: training diverged", m.lossFirst, m.lossLast))
	default:
		row.Settle(results.OK, "")
	}
}

func (r *Rig) firstSteps(ctx context.Context, c workload.Case) (measurement, error) {
	return r.stepped(ctx, c, steps{probing, probeSteps, false})
}
