package peer_test

import (
	"errors"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/peer"
)

// world is of simulated GPUs.
var world = commtest.Devices{
	New: func(_ *testing.T, ranks int, seed uint64) func(rank int) (kernels.Device, error) {
		gpus := ptxsim.New(ptxsim.Config{Devices: ranks, Seed: seed})
		return func(rank int) (kernels.Device, error) { return cuda.Open(gpus, rank) }
	},
	Connect: func(_ *testing.T, ranks int) []comm.Communicator { return peer.New(ranks) },
}

func TestConforms(t *testing.T) { world.Run(t, kernels.F32, kernels.F16, kernels.BF16) }

// A sum goes through its scratch memory piece by piece, and other types take other scratch.
func TestSumsOfMoreThanTheScratchHolds(t *testing.T) {
	const n = 1<<20/2 + 1000 // 16-bit elements of one rank's part, and a second piece
	errs := world.World(t, 2, 1, func(r *commtest.Rank) error {
		small, x, y := r.Tensor(kernels.F32, 5), r.Tensor(kernels.BF16, 2*n), r.Tensor(kernels.F32, 5)
		r.Fill(small, r.Rank())
		r.AllReduce(r.Stream, y, small)
		r.Stream.Fill(x, float64(r.Rank()+1))
		r.AllReduce(r.Stream, x, x)
		r.AllReduce(r.Stream, small, small)
		sum := make([]float64, 5)
		for i := range sum {
			sum[i] = commtest.Value(0, i) + commtest.Value(1, i)
		}
		want := func(i int) float64 { return sum[i] }
		return errors.Join(r.Expect(y, want), r.Expect(x, func(int) float64 { return 3 }), r.Expect(small, want))
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// Ranks that do not make the same calls are told so.
func TestMismatchesAreTold(t *testing.T) {
	reduceInts := func(r *commtest.Rank, _ kernels.Tensor) {
		y := r.Tensor(kernels.I32, 4)
		r.AllReduce(r.Stream, y, y)
		r.Barrier(r.Stream)
	}
	for want, pair := range map[string][2]func(r *commtest.Rank, x kernels.Tensor){
		"rank 1 calls barrier while rank 0 calls all-reduce of 4 fp32": {
			func(r *commtest.Rank, _ kernels.Tensor) { r.Barrier(r.Stream) }, func(r *commtest.Rank, x kernels.Tensor) { r.AllReduce(r.Stream, x, x) }},
		"rank 1 sends 3 fp32, rank 0 expects 4 fp32": {
			func(r *commtest.Rank, x kernels.Tensor) { r.Send(r.Stream, x.At(0, 3), 0) }, func(r *commtest.Rank, x kernels.Tensor) { r.Recv(r.Stream, x, 1) }},
		"sums of int32": {reduceInts, reduceInts},
	} {
		world.EndsFor(t, want, map[string][2]func(r *commtest.Rank, x kernels.Tensor){want: pair})
	}
}
