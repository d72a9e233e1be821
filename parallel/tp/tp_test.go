package tp_test

import (
	"context"
	"fmt"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/tp"
)

// Without sequence parallelism the sum over ranks stays in place.
func TestRegionSums(t *testing.T) {
	l := parallel.InProcess{Open: func(int, int) (kernels.Device, error) { return ref.New(), nil }, Connect: local.New}
	err := l.Run(t.Context(), parallel.Strategy{TP: 3}, func(_ context.Context, r *parallel.Rank) error {
		b, err := r.Device.Alloc(kernels.F64, 6)
		if err != nil {
			return err
		}
		r.Defer(b.Free)
		x, data := kernels.Of(b, 2, 3), b.(kernels.HostBuffer).Data().([]float64)
		region := tp.Region{Cut: tp.NewCut(1), Comm: r.TP}
		for i := range data {
			data[i] = float64(100*r.ID + i)
		}
		if region.Whole(r.Compute, x).Buf != b || region.Partial(x).Buf != b {
			return fmt.Errorf("not in place")
		}
		region.StartSum(r.Compute, x, 0, 1)
		region.EndSum(r.Compute, 0)
		if err := r.Compute.Sync(); err != nil {
			return err
		}
		for i, v := range data {
			if want := float64(300 + 3*i); v != want {
				return fmt.Errorf("element %d is %g, want %g", i, v, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
