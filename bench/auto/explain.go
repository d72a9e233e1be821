package auto

import (
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// Explanation is why a search chose what it chose.
type Explanation struct {
	Case       workload.Case // unsplit
	Considered int
	Fit        int
	Rejected   []Rejection
	Finalists  []Finalist // as predicted, the fastest first
	Chosen     int        // index into Finalists, or -1
	// Baseline is the tokens per second of dense fp32 on one rank with all cores, or on one GPU; 0: not known.
	Baseline float64
}

// Finalist is a candidate that was measured.
type Finalist struct {
	Candidate
	Status   results.Status
	Reason   string
	Measured results.Opt[float64] // median seconds of a step
	Tokens   results.Opt[float64] // per second
}

// Explain puts together what a search found and what was measured of it: a row of each candidate, in order.
func Explain(c workload.Case, found Result, rows []results.Row, baseline float64) Explanation {
	e := Explanation{Case: c, Considered: found.Considered, Fit: found.Fit, Rejected: found.Rejected, Chosen: -1, Baseline: baseline}
	for i, row := range rows {
		e.Finalists = append(e.Finalists, Finalist{found.Best[i], row.Status, row.Reason, row.StepMedianS, row.TokensPerS})
		if row.Status == results.OK && (e.Chosen < 0 || row.TokensPerS.Or(0) > e.Finalists[e.Chosen].Tokens.Or(0)) {
			e.Chosen = i
		}
	}
	return e
}

// Off is by how much the prediction of a finalist is off what was measured, in percent of that.
func (f Finalist) Off() results.Opt[float64] {
	measured, ok := f.Measured.Get()
	if !ok {
		return results.Opt[float64]{}
	}
	return results.Finite(100 * (f.Step.Total/measured - 1))
}
