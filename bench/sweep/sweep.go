// Package sweep measures the cases of a run one after the other on a Runner and keeps one row of each, on the disk before the next begins.
// It knows neither devices nor terminals: the Runner measures, an Observer shows.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
)

// Machine is what a Runner measures on.
type Machine struct {
	Device results.DeviceKind
	Name   string // of the device, as it reports it
	Chip   string // row of the chip table, or ""
	Cores  int    // CPU cores that the ranks of a case share
	GPUs   int    // that ranks can have, one each; 0 on a CPU
	// Libraries besides Go's whose version can change a number, as name=version joined by ";".
	Libraries string
}

// Runner measures single cases on one kind of device.
type Runner interface {
	Machine() Machine
	// Check is nil, or the reason in one line why this machine cannot run c.
	Check(c workload.Case) error
	// Run measures c, which passed Check, verifies what it computed, fills in row from its measurement columns on, and settles it. It ends
	// after the current step when ctx is done; the row is then left unsettled. Identity, environment and relative columns are not its task.
	Run(ctx context.Context, c workload.Case, row *results.Row)
	// Probe takes c's first steps only, and settles row: ok if they ran and the loss is as it should be, skipped if the case's memory limit does not let it run.
	// It leaves row unsettled as Run does.
	Probe(ctx context.Context, c workload.Case, row *results.Row)
	// Costs measures what predicts any split of c over its ranks.
	Costs(ctx context.Context, c workload.Case) (costmodel.Table, error)
}

// Observer is told of each case of a run.
type Observer interface {
	Begin(c workload.Case)
	End(row *results.Row)
}

// Appender keeps rows; results.Writer is one.
type Appender interface{ Append(*results.Row) error }

// ErrInterrupted is returned by Run when its context ended first.
var ErrInterrupted = errors.New("interrupted; the finished rows are kept")

// Check asks the runner about every case that makes sense, and returns the plan with its reasons filled in.
func Check(r Runner, plan []workload.Planned) []workload.Planned {
	out := make([]workload.Planned, len(plan))
	for i, p := range plan {
		if p.Skip == nil && !p.Auto { // whose splits are checked one by one
			p.Skip = r.Check(p.Case)
		}
		out[i] = p
	}
	return out
}

// Run measures the cases of a checked plan, appends their rows and returns them in the order written, after those that the file has already: what is
// skipped first, at once. It ends with the first row that cannot be kept, or with ErrInterrupted.
func Run(ctx context.Context, r Runner, env Environment, plan []workload.Planned, already []results.Row, to Appender, o Observer) ([]results.Row, error) {
	s := run{runner: r, env: env, to: to, observer: o, rows: already, done: speeds(already)}
	for _, p := range plan {
		if p.Skip != nil {
			if err := s.skip(p); err != nil {
				return s.rows, err
			}
		}
	}
	for _, p := range plan {
		if p.Skip != nil {
			continue
		}
		if ctx.Err() != nil {
			return s.rows, ErrInterrupted
		}
		if err := s.measure(ctx, p); err != nil {
			return s.rows, err
		}
	}
	return s.rows, nil
}

type run struct {
	runner   Runner
	env      Environment
	to       Appender
	observer Observer
	rows     []results.Row
	done     map[workload.Case]float64 // tokens/s of trusted rows
}

func (s *run) skip(p workload.Planned) error {
	row := NewRow(p.Case, s.runner.Machine(), s.env, time.Now())
	row.Largest = p.Largest
	if p.Auto {
		row.Auto = results.Finalist
	}
	row.Settle(results.Skipped, p.Skip.Error())
	s.observer.Begin(p.Case)
	return s.keep(&row)
}

func (s *run) measure(ctx context.Context, p workload.Planned) error {
	s.observer.Begin(p.Case)
	switch {
	case p.Largest != "":
		return s.search(ctx, p)
	case p.Auto:
		return s.split(ctx, p)
	}
	row, err := s.measured(ctx, p.Case)
	if err != nil {
		return err
	}
	return s.keep(&row)
}

// measured is a case's row.
func (s *run) measured(ctx context.Context, c workload.Case) (results.Row, error) {
	row := NewRow(c, s.runner.Machine(), s.env, time.Now())
	s.runner.Run(ctx, c, &row)
	if err := settled(ctx, &row); err != nil {
		return row, err
	}
	if tokens, ok := row.TokensPerS.Get(); ok {
		s.done[c] = tokens
		relate(&row, c, s.runner.Machine().Cores, s.done)
	}
	if also := caution(c, s.runner.Machine()); row.Status == results.OK && also != "" {
		row.Reason = strings.TrimPrefix(row.Reason+"; "+also, "; ")
	}
	return row, nil
}

// settled is nil, or ErrInterrupted if the runner was.
func settled(ctx context.Context, row *results.Row) error {
	switch {
	case row.Status != "":
		return nil
	case ctx.Err() != nil:
		return ErrInterrupted
	}
	panic("sweep: the runner left a row unsettled")
}

// keep ends a case with its row.
func (s *run) keep(row *results.Row) error {
	if err := s.add(row); err != nil {
		return err
	}
	s.observer.End(row)
	return nil
}

func (s *run) add(row *results.Row) error {
	if err := s.to.Append(row); err != nil {
		return err
	}
	s.rows = append(s.rows, *row)
	return nil
}

// caution is what a reader of a good row should know, or "".
func caution(c workload.Case, m Machine) string {
	if threads := c.RankThreads(m.Cores); m.Device == results.CPU && threads*c.World() > m.Cores {
		return fmt.Sprintf("oversubscribed: %d threads of %d ranks share %d cores", threads*c.World(), c.World(), m.Cores)
	}
	return ""
}
