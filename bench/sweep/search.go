package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// search finds by running the largest model, or batch, of a case that its ranks' memory holds. It keeps two rows: the largest, measured as any case, and the next
// larger one, skipped for the reason that refused it. If not even the smallest runs, its row is the only one; so is that of a case that failed.
func (s *run) search(ctx context.Context, p workload.Planned) error {
	from := p.Case.Size(p.Largest)
	var last results.Row // that did not fit, or failed; since ever smaller ones are refused, in the end the next larger one
	n, err := largest(from, predicted(p), func(n int) (bool, error) {
		c := p.Case.Sized(p.Largest, n)
		Stage(ctx, fmt.Sprintf("trying L=%d B=%d", c.Model.L, c.Model.B))
		row := NewRow(c, s.runner.Machine(), s.env, time.Now())
		s.try(ctx, c, &row)
		row.Largest = p.Largest
		if err := settled(ctx, &row); err != nil {
			return false, err
		}
		switch row.Status {
		case results.OK:
			return true, nil
		case results.Skipped:
			last = row
			return false, nil
		}
		last = row
		return false, errNoAnswer
	})
	switch {
	case errors.Is(err, errNoAnswer), err == nil && n < from:
		return s.keep(&last)
	case err != nil:
		return err
	}
	row, err := s.measured(ctx, p.Case.Sized(p.Largest, n))
	if err != nil {
		return err
	}
	row.Largest = p.Largest
	if err := s.keep(&row); err != nil {
		return err
	}
	return s.add(&last)
}

// errNoAnswer ends a search in which a case neither ran nor was refused.
var errNoAnswer = errors.New("the search has no answer")

// try settles the row of a case that makes sense, and that the machine can run, by its first steps.
func (s *run) try(ctx context.Context, c workload.Case, row *results.Row) {
	if err := errors.Join(c.Validate(), s.runner.Check(c)); err != nil {
		row.Settle(results.Skipped, err.Error())
		return
	}
	s.runner.Probe(ctx, c, row)
}

// predicted is how large the memory of a rank's own tensors lets a search's case be: where to look first.
func predicted(p workload.Planned) int {
	from := p.Case.Size(p.Largest)
	n, _ := largest(from, from, func(n int) (bool, error) {
		c := p.Case.Sized(p.Largest, n)
		if c.Validate() != nil {
			return false, nil
		}
		need, err := c.RankMemory()
		return err == nil && need <= int64(c.Memory), nil
	})
	return max(from, n)
}

// largest is the largest n for which fits is true, from which on it is not, or from-1 if not even from fits. It looks at a guess first, then further and further away from there,
// until it knows one that fits and one that does not; then the gap is halved. There must be an n that does not fit.
func largest(from, guess int, fits func(n int) (bool, error)) (int, error) {
	good, bad := from-1, 0 // 0: none is known
	for n, step := guess, 1; bad == 0 || bad-good > 1; {
		ok, err := fits(n)
		if err != nil {
			return 0, err
		}
		if ok {
			good = n
		} else {
			bad = n
		}
		switch {
		case bad == 0:
			n, step = n+step, 2*step
		case good < from && n-step >= from:
			n, step = n-step, 2*step
		default:
			n = good + (bad-good)/2
		}
	}
	return good, nil
}
