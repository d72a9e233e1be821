package peer_test

import (
	"errors"
	"strings"
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

// Calls of all ranks become one graph, which they launch together, also in turn with calls that are none of it.
func TestCallsCanBeCaptured(t *testing.T) {
	errs := world.World(t, 3, 1, func(r *commtest.Rank) error {
		x, y, z := r.Tensor(kernels.F32, 5), r.Tensor(kernels.F32, 5), r.Tensor(kernels.BF16, 4)
		next, before := (r.Rank()+1)%3, (r.Rank()+2)%3
		step := func() {
			r.AllReduce(r.Stream, y, x)
			r.Stream.Cast(x, y)
			r.Group(r.Stream, func() {
				r.Send(r.Stream, z.At(0, 2), next)
				r.Recv(r.Stream, z.At(2, 2), before)
			})
		}
		r.Stream.Fill(x, 1)
		step()
		if err := r.Stream.Sync(); err != nil {
			return err
		}
		g, err := comm.Capture(r.Communicator, r.Stream, step)
		if err != nil {
			return err
		}
		for launch := range 3 {
			r.Stream.Fill(x, float64(launch+r.Rank()))
			r.Stream.Fill(z.At(0, 2), float64(10*launch+r.Rank()))
			g.Launch()
			r.AllReduce(r.Stream, y, x)
			each := 3 * float64(3*launch+3)
			moved := func(i int) float64 { return float64(10*launch + []int{r.Rank(), before}[i/2]) }
			if err := errors.Join(r.Expect(y, func(int) float64 { return each }), r.Expect(z, moved)); err != nil {
				return err
			}
		}
		r.Barrier(r.Stream)
		return errors.Join(r.Stream.Sync(), g.Close())
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// Where one rank fails within a capture, all end, and nobody's streams stay captured.
func TestAFailureEndsACapture(t *testing.T) {
	for failing := range 2 {
		errs := world.World(t, 2, 1, func(r *commtest.Rank) error {
			x, odd := r.Tensor(kernels.F32, 4), r.Tensor(kernels.I32, 2)
			parts := r.Tensor(kernels.I32, 4)
			_, err := comm.Capture(r.Communicator, r.Stream, func() {
				r.AllReduce(r.Stream, x, x)
				if r.Rank() == failing {
					r.Stream.(kernels.PeerStream).SumParts(odd, parts.Reshape(2, 2))
				}
				r.AllReduce(r.Stream, x, x)
			})
			return errors.Join(err, r.Stream.Sync())
		})
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "sums of int32") && !strings.Contains(err.Error(), "not permitted while") {
				t.Errorf("rank %d fails: rank %d: %v", failing, rank, err)
			}
		}
	}
}
