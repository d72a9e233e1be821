package nccl_test

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/nccl"
)

var types = []kernels.DType{kernels.F32, kernels.F16, kernels.BF16, kernels.F64}

// On simulated GPUs with a stand-in for NCCL, whose streams run in an order drawn from a seed.
func TestConforms(t *testing.T) {
	var gpus *ptxsim.Driver
	commtest.Devices{
		New: func(_ *testing.T, ranks int, seed uint64) func(rank int) (kernels.Device, error) {
			gpus = ptxsim.New(ptxsim.Config{Devices: ranks, Seed: seed, Collectives: true})
			return func(rank int) (kernels.Device, error) { return cuda.Open(gpus, rank) }
		},
		Connect: func(t *testing.T, ranks int) []comm.Communicator {
			library, err := gpus.Collectives()
			if err != nil {
				t.Fatal(err)
			}
			return nccl.New(library)(ranks)
		},
	}.Run(t, types...)
}
