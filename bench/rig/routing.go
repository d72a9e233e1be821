package rig

import (
	"fmt"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel/trainer"
	"ofpeak/results"
)

// routing is what experts counted in the last step, of some ranks.
type routing struct{ choices, dropped float64 }

func (r routing) plus(s routing) routing {
	return routing{r.choices + s.choices, r.dropped + s.dropped}
}

// addRouting reads a rank's counts of its last step, unless that failed.
func addRouting(err error, t *trainer.Trainer) (routing, error) {
	if err != nil {
		return routing{}, err
	}
	counts, err := t.Routing()
	if counts == nil || err != nil {
		return routing{}, err
	}
	return routing{counts[kernels.RouteChoices], counts[kernels.RouteDropped]}, nil
}

// fill sets the share of dropped choices, where there were any choices.
func (r routing) fill(row *results.Row) {
	if r.choices > 0 {
		row.ExpertDroppedPct = results.Some(100 * r.dropped / r.choices)
	}
}

// sparsityNote says so where a mixture of experts learned no more than the dense model, which does as much work for a token.
func sparsityNote(c workload.Case, row *results.Row) string {
	loss, ok := row.FinalLoss.Get()
	base, known := row.FinalLossBaseline.Get()
	if c.Experts == (workload.Experts{}) || !ok || !known || loss < base {
		return ""
	}
	return fmt.Sprintf("the dense model of equal FLOPs learned as much or more: a loss of %.4g, with experts %.4g", base, loss)
}
