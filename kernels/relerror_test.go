package kernels

import (
	"math"
	"testing"
)

func TestRelError(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name      string
		got, want []float64
		err       float64
	}{
		{"equal", []float64{1, nan, inf, 0}, []float64{1, nan, inf, 0}, 0},
		{"relative to the rms", []float64{0.1, 1, 1, math.Sqrt2}, []float64{0, 1, 1, math.Sqrt2}, 0.1},
		{"half for a typical element", []float64{1.1, 1}, []float64{1, 1}, 0.05},
		{"tiny numbers", []float64{1.1e-200, 1e-200}, []float64{1e-200, 1e-200}, 0.05},
		{"huge numbers", []float64{1.1e200, 1e200}, []float64{1e200, 1e200}, 0.05},
		{"something for zero", []float64{0, 1e-300}, []float64{0, 0}, inf},
		{"NaN for a number", []float64{nan, 1}, []float64{1, 1}, inf},
		{"number for an Inf", []float64{1, 1}, []float64{-inf, 1}, inf},
		{"wrong sign of Inf", []float64{inf}, []float64{-inf}, inf},
	} {
		got := RelError(c.got, c.want)
		if got != c.err && math.Abs(got-c.err) > 1e-12 {
			t.Errorf("%s: got %g, want %g", c.name, got, c.err)
		}
	}
}

func TestNormError(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name      string
		got, want []float64
		err       float64
	}{
		{"equal", []float64{1, nan, inf, 0}, []float64{1, nan, inf, 0}, 0},
		{"one of four", []float64{2, 1, -1, 1}, []float64{1, 1, -1, 1}, 0.5},
		{"nothing of it", []float64{0, 0}, []float64{3e200, -1e200}, 1},
		{"the wrong sign", []float64{-3e-200}, []float64{3e-200}, 2},
		{"something for zero", []float64{0, 1e-300}, []float64{0, 0}, inf},
		{"NaN for a number", []float64{nan, 1}, []float64{1, 1}, inf},
		{"wrong sign of Inf", []float64{inf}, []float64{-inf}, inf},
	} {
		if got := NormError(c.got, c.want); got != c.err && math.Abs(got-c.err) > 1e-12 {
			t.Errorf("%s: got %g, want %g", c.name, got, c.err)
		}
	}
}

func TestRelErrorAtScale(t *testing.T) {
	for _, c := range []struct{ got, want, scale, err float64 }{
		{1e-6, 0, 1, 1e-6},    // cancelled to nothing
		{1e-6, 2e-6, 0, 0.25}, // no scale: relative to itself
		{9, 10, 1, 0.05},      // the rms is larger
	} {
		if got := RelErrorAt([]float64{c.got}, []float64{c.want}, c.scale); math.Abs(got-c.err) > 1e-12 {
			t.Errorf("%g for %g at %g: got %g, want %g", c.got, c.want, c.scale, got, c.err)
		}
	}
}
