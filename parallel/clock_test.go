package parallel_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ofpeak/parallel"
)

// A rank whose clock is ahead or behind learns by how much; one whose clock is rank 0's learns that it is none.
func TestClockOffset(t *testing.T) {
	ahead := []time.Duration{0, 0, time.Hour, -3 * time.Second}
	err := launch(t, t.Context(), parallel.Strategy{DP: len(ahead)}, func(_ context.Context, r *parallel.Rank) error {
		got, err := r.ClockOffset(func() time.Time { return time.Now().Add(ahead[r.ID]) })
		if err != nil {
			return err
		}
		if want := ahead[r.ID]; want == 0 && got != 0 || (got-want).Abs() > time.Second {
			return fmt.Errorf("rank %d is ahead by %v, want %v", r.ID, got, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
