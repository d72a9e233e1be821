package results

import (
	"reflect"
	"slices"
	"strings"
)

// unknownToSim are columns, besides those in seconds, that follow from times.
var unknownToSim = []string{"warmup_steps", "samples", "step_spread_pct", "ops", "clock_ratio", "clock_change_pct", "handoff_ns", "energy_per_token_j", "energy_basis"}

// needsTime reports whether a column says how long something took, or follows from it, or what hardware did meanwhile.
func needsTime(column string) bool {
	return strings.HasSuffix(column, "_s") || strings.HasPrefix(column, "gpu_") || slices.Contains(unknownToSim, column)
}

// timed calls f with each column that a simulated device cannot know.
func (r *Row) timed(f func(column string, cell reflect.Value)) {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		if column := v.Type().Field(i).Tag.Get("csv"); needsTime(column) {
			f(column, v.Field(i))
		}
	}
}

// forgetTimes empties them.
func (r *Row) forgetTimes() {
	r.timed(func(_ string, cell reflect.Value) { cell.SetZero() })
}

// checkSimulated holds that the row of a simulated device tells no time: an interpreter's speed is not a GPU's.
func (r *Row) checkSimulated() (err error) {
	if r.Device != Sim {
		return nil
	}
	r.timed(func(column string, cell reflect.Value) {
		if !cell.IsZero() && err == nil {
			err = columnErrorf(column, "must be empty for a simulated device")
		}
	})
	return err
}
