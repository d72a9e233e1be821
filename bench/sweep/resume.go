package sweep

import (
	"fmt"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// Entry names an entry of a plan. All rows of a search have the same.
type Entry struct{ line, search string }

const splitting = "split"

// EntryOf names a planned case or search.
func EntryOf(p workload.Planned) Entry {
	if p.Auto {
		return Entry{p.Case.String(), splitting}
	}
	return Entry{p.Case.String(), p.Largest}
}

// EntryOfRow names the entry that a row is of.
func EntryOfRow(r *results.Row) Entry {
	c, err := workload.ParseCase(r.Case)
	switch {
	case err != nil:
	case r.Auto != "":
		return Entry{c.Unsplit().String(), splitting}
	case r.Largest != "":
		return Entry{c.Smallest(r.Largest).String(), r.Largest}
	}
	return Entry{r.Case, ""}
}

// Again is which rows of a file are to be measured anew: those of a plan whose status was named. The first row of a search decides for all.
func Again(plan []workload.Planned, named func(results.Status) bool) func(*results.Row) bool {
	planned, gone := map[Entry]bool{}, map[Entry]bool{}
	for _, p := range plan {
		planned[EntryOf(p)] = true
	}
	return func(r *results.Row) bool {
		e := EntryOfRow(r)
		if _, decided := gone[e]; !decided {
			gone[e] = planned[e] && named(r.Status)
		}
		return gone[e]
	}
}

// Remaining is a plan without the cases and searches that have a row already. Rows that this machine would not have made are an error: a file is one machine's.
func Remaining(plan []workload.Planned, already []results.Row, m Machine) ([]workload.Planned, error) {
	rows := map[Entry]*results.Row{}
	for i := range already {
		rows[EntryOfRow(&already[i])] = &already[i]
	}
	var rest []workload.Planned
	for _, p := range plan {
		row, ok := rows[EntryOf(p)]
		if !ok {
			rest = append(rest, p)
			continue
		}
		if err := sameMachine(NewRow(p.Case, m, Environment{}, time.Now()), row); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func sameMachine(here results.Row, there *results.Row) error {
	for _, f := range []struct{ what, here, there string }{
		{"device", string(here.Device), string(there.Device)},
		{"device", here.DeviceName, there.DeviceName},
		{"chip", here.Chip, there.Chip},
		{"number of threads per rank", here.ThreadsPerRank.String(), there.ThreadsPerRank.String()},
	} {
		if f.here != f.there {
			return fmt.Errorf("its rows are of another machine: their %s is %q, here it is %q; go on there, or start another file with --out", f.what, f.there, f.here)
		}
	}
	return nil
}

// speeds are the tokens/s of earlier rows by their case, for what is compared with them.
func speeds(rows []results.Row) map[workload.Case]float64 {
	done := map[workload.Case]float64{}
	for _, row := range rows {
		tokens, ok := row.TokensPerS.Get()
		if c, err := workload.ParseCase(row.Case); ok && err == nil {
			done[c] = tokens
		}
	}
	return done
}
