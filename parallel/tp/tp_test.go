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

// Both f's backward and g's forward leave the sum over ranks in place.
func TestRegionSums(t *testing.T) {
	l := parallel.InProcess{Open: func(int, int) (kernels.Device, error) { return ref.New(), nil }, Connect: local.New}
	err := l.Run(t.Context(), parallel.Strategy{TP: 3}, func(_ context.Context, r *parallel.Rank) error {
		b, err := r.Device.Alloc(kernels.F64, 6)
		if err != nil {
			return err
		}
		r.Defer(b.Free)
		x, data := kernels.Of(b, 2, 3), b.(kernels.HostBuffer).Data().([]float64)
		region := tp.Region{Comm: r.TP}
		for _, sum := range []func(kernels.Stream, kernels.Tensor){region.Enter, region.Leave} {
			for i := range data {
				data[i] = float64(100*r.ID + i)
			}
			sum(r.Compute, x)
			if err := r.Compute.Sync(); err != nil {
				return err
			}
			for i, v := range data {
				if want := float64(300 + 3*i); v != want {
					return fmt.Errorf("element %d is %g, want %g", i, v, want)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
