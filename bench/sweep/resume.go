package sweep

import (
	"fmt"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// Remaining is a plan without the cases that have a row already. Rows that this machine would not have made are an error: a file is one machine's.
func Remaining(plan []workload.Planned, already []results.Row, m Machine) ([]workload.Planned, error) {
	rows := map[string]*results.Row{}
	for i := range already {
		rows[already[i].Case] = &already[i]
	}
	var rest []workload.Planned
	for _, p := range plan {
		row, ok := rows[p.Case.String()]
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
