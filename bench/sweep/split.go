package sweep

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"ofpeak/bench/auto"
	"ofpeak/bench/workload"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
)

// split finds the fastest way to split a case over its ranks: the cost model picks a few, which are measured as any case, and the fastest of those is chosen. Their rows
// are kept together at the end, the chosen one first, since only then is known which it is.
func (s *run) split(ctx context.Context, p workload.Planned) error {
	if possible := auto.Search(p.Case, s.runner.Check, &costmodel.Table{}); possible.Fit == 0 {
		s.explain(auto.Explain(p.Case, possible, nil, 0))
		return s.unsplit(p, results.Skipped, possible.None())
	}
	Stage(ctx, "measuring layers and collectives")
	table, err := s.runner.Costs(ctx, p.Case)
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	if err != nil {
		return s.unsplit(p, results.Failed, err)
	}
	found := auto.Search(p.Case, s.runner.Check, &table)
	var rows []results.Row
	for i, candidate := range found.Best {
		Stage(ctx, fmt.Sprintf("finalist %d of %d", i+1, len(found.Best)))
		row, err := s.measured(ctx, candidate.Case)
		if err != nil {
			return err
		}
		row.Auto = results.Finalist
		if row.Device != results.Sim {
			row.PredictedStepS = results.Finite(candidate.Step.Total)
		}
		rows = append(rows, row)
	}
	s.explain(auto.Explain(p.Case, found, rows, s.done[workload.BaselineOf(p.Case)]))
	slices.SortStableFunc(rows, faster)
	if rows[0].Status == results.OK {
		rows[0].Auto = results.Chosen
	}
	return s.keepAll(rows)
}

// keepAll ends a search with its rows.
func (s *run) keepAll(rows []results.Row) error {
	if err := s.keep(&rows[0]); err != nil {
		return err
	}
	for i := range rows[1:] {
		if err := s.add(&rows[1+i]); err != nil {
			return err
		}
	}
	return nil
}

// faster orders rows: those that ran before those that did not, then by speed. Where no times are known, the order of the predictions stays.
func faster(a, b results.Row) int {
	ran := func(r results.Row) int {
		if r.Status == results.OK {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(ran(a), ran(b)), -cmp.Compare(a.TokensPerS.Or(0), b.TokensPerS.Or(0)))
}

// unsplit ends a search that measured nothing.
func (s *run) unsplit(p workload.Planned, status results.Status, why error) error {
	row := NewRow(p.Case, s.runner.Machine(), s.env, time.Now())
	row.Auto = results.Finalist
	row.Settle(status, why.Error())
	return s.keep(&row)
}

// Explainer is an Observer that wants to know why a search chose what it chose.
type Explainer interface{ Explain(auto.Explanation) }

func (s *run) explain(e auto.Explanation) {
	if o, ok := s.observer.(Explainer); ok {
		o.Explain(e)
	}
}
