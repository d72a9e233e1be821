package kerneltest

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// The reference in its narrower types must pass its own tolerances: this is what rounding each result once costs.
func TestReference(t *testing.T) {
	Run(t, func(*testing.T) kernels.Device { return ref.New() }, Options{})
}
