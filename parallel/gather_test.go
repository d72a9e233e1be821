package parallel_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"ofpeak/parallel"
)

func TestGather(t *testing.T) {
	err := launch(t, t.Context(), parallel.Strategy{DP: 4}, func(_ context.Context, r *parallel.Rank) error {
		for round := range 2 {
			mine := bytes.Repeat([]byte{byte(r.ID), 255}, r.ID*(1000*round+1)) // rank 0 has none
			all, err := r.Gather(mine)
			if err != nil {
				return err
			}
			if r.ID != 0 {
				if all != nil {
					return fmt.Errorf("rank %d got %d", r.ID, len(all))
				}
				continue
			}
			for from, b := range all {
				if want := bytes.Repeat([]byte{byte(from), 255}, from*(1000*round+1)); !bytes.Equal(b, want) {
					return fmt.Errorf("%d bytes of rank %d, want %d", len(b), from, len(want))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
