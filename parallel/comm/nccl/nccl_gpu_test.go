//go:build gpu

package nccl_test

import (
	"os"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/cudriver"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/nccl"
)

// Through cudriver and NCCL's own functions: the stand-in's (make test-cuda), or NCCL's where there are GPUs (make test-gpu).
func TestGPUCollectivesConform(t *testing.T) {
	if os.Getenv("OFPEAK_STANDIN") != "" {
		t.Setenv("OFPEAK_STANDIN_DEVICES", "4")
	}
	gpus := cudriver.New()
	library, err := gpus.Collectives()
	if err != nil {
		t.Skip(err)
	}
	n, err := gpus.Devices()
	if err != nil {
		t.Fatal(err)
	}
	commtest.Devices{
		New: func(*testing.T, int, uint64) func(rank int) (kernels.Device, error) {
			return func(rank int) (kernels.Device, error) { return cuda.Open(gpus, rank) }
		},
		Connect: func(_ *testing.T, ranks int) []comm.Communicator { return nccl.New(library)(ranks) },
		Most:    min(n, 4),
	}.Run(t, types...)
}
