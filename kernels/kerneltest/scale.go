package kerneltest

import (
	"fmt"
	"math"
	"testing"

	"ofpeak/kernels"
)

// scale checks overflow detection and the loss scale's life.
func (h *harness) scale(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	for _, dt := range h.Types {
		t.Run("find/"+dt.String(), func(t *testing.T) { findNonFinite(t, dev, s, dt) })
		if dt == kernels.StatsOf(dt) {
			t.Run("update/"+dt.String(), func(t *testing.T) { updateScale(t, dev, s, dt) })
		}
	}
}

func findNonFinite(t *testing.T, dev kernels.Device, s kernels.Stream, dt kernels.DType) {
	for _, n := range []int{1, 7, 64, 1001} {
		for _, bad := range []float64{0, dt.Max(), -dt.Max(), math.Inf(1), math.Inf(-1), math.NaN()} {
			for _, at := range []int{0, n / 2, n - 1} {
				values := make([]float64, n+2)
				values[0], values[n+1] = math.NaN(), math.NaN() // outside the view
				values[1+at] = bad
				x := Upload(t, dev, s, dt, values, n+2).At(1, n)
				state := Upload(t, dev, s, kernels.StatsOf(dt), []float64{8, 7, 0, 5, 4}, kernels.StateLen)
				s.FindNonFinite(state, x)
				want := []float64{8, 7, 0, 5, 4}
				if math.IsNaN(bad) || math.IsInf(bad, 0) {
					want[kernels.StateFound] = 1
				}
				same(t, fmt.Sprintf("%g at %d of %d", bad, at, n), Read(t, s, state), want)
			}
		}
	}
	state := Upload(t, dev, s, kernels.StatsOf(dt), []float64{8, 7, 1, 5, 4}, kernels.StateLen)
	s.FindNonFinite(state, Alloc(t, dev, dt, 3))
	same(t, "found earlier", Read(t, s, state), []float64{8, 7, 1, 5, 4})
}

func updateScale(t *testing.T, dev kernels.Device, s kernels.Stream, dt kernels.DType) {
	const last = kernels.ScaleWindow - 1
	for _, c := range []struct {
		name    string
		before  []float64
		dynamic bool
		after   []float64
	}{
		{"good", []float64{1024, 3, 0, 10, 2}, true, []float64{1024, 4, 0, 11, 2}},
		{"overflow", []float64{1024, 3, 1, 10, 2}, true, []float64{512, 0, 0, 10, 3}},
		{"overflow on two ranks", []float64{1024, 3, 2, 10, 2}, true, []float64{512, 0, 0, 10, 3}},
		{"window full", []float64{1024, last, 0, 10, 2}, true, []float64{2048, 0, 0, 11, 2}},
		{"at the top", []float64{kernels.MaxScale, last, 0, 10, 2}, true, []float64{kernels.MaxScale, 0, 0, 11, 2}},
		{"fixed, good", []float64{1, 5, 0, 10, 2}, false, []float64{1, 6, 0, 11, 2}},
		{"fixed, overflow", []float64{1, 5, 1, 10, 2}, false, []float64{1, 0, 0, 10, 3}},
	} {
		state := Upload(t, dev, s, dt, c.before, kernels.StateLen)
		s.UpdateScale(state, c.dynamic)
		same(t, c.name, Read(t, s, state), c.after)
	}
}
