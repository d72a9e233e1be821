package cuda

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/verify"
)

// simulated opens a simulated GPU.
func simulated(t *testing.T, c ptxsim.Config) *Device {
	t.Helper()
	d, err := Open(ptxsim.New(c), 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// types are what the kernels store.
var types = []kernels.DType{kernels.F32, kernels.F16, kernels.BF16}

// Every kernel, as its PTX ships, keeps the contract of kernels.Device.
func TestKeepsTheContract(t *testing.T) {
	kerneltest.Run(t, func(t *testing.T) kernels.Device { return simulated(t, ptxsim.Config{Seed: 3}) }, kerneltest.Options{
		Types: types,
		// Tensor cores take 16-bit types and dense weights; the others go to the same kernels under both variants.
		Skip: func(variant string, c verify.Case) bool {
			return variant == "mma" && (c.Type == kernels.F32 || c.Layout.Format != kernels.Dense) ||
				variant == "flash" && c.Type == kernels.F32 ||
				c.Type == kernels.F16 && c.Layout.Format != kernels.Dense // the slowest; bf16 runs the same templates
		},
	})
}
