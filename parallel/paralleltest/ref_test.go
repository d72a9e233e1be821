package paralleltest_test

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
	"ofpeak/parallel/paralleltest"
)

func openRef(int, int) (kernels.Device, error) { return ref.New(), nil }

func TestReference(t *testing.T) {
	p, _ := kernels.PrecisionNamed("fp64")
	paralleltest.Run(t, paralleltest.Options{Open: openRef, Precision: p, Tolerance: 1e-10})
}
