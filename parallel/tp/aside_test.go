package tp_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/tp"
)

// started are calls of a region that cuts four tokens of one value into two pieces. Rank r has 10^r for each token of the first, and 2·10^r for each of the second.
var started = map[string]struct {
	sequence bool
	start    func(s kernels.Stream, r block.Region, x kernels.Tensor)
	end      func(s kernels.Stream, r block.Region, x kernels.Tensor, i int) kernels.Tensor // of piece i
	want     [2][]float32
}{
	"sums":               {false, startSums, endSum, [2][]float32{{11, 11}, {22, 22}}},
	"sums of own tokens": {true, startSums, endSum, [2][]float32{{11}, {22}}},
	"gathers": {true, func(s kernels.Stream, r block.Region, x kernels.Tensor) { r.Prefetch(s, x) },
		func(s kernels.Stream, r block.Region, x kernels.Tensor, i int) kernels.Tensor {
			return r.Fetched(s, x, i, 2)
		},
		[2][]float32{{1, 10}, {2, 20}}},
}

func startSums(s kernels.Stream, r block.Region, x kernels.Tensor) {
	r.StartSum(s, x, 0, 2)
	r.StartSum(s, x, 1, 2)
}

func endSum(s kernels.Stream, r block.Region, x kernels.Tensor, i int) kernels.Tensor {
	r.EndSum(s, i)
	return r.Piece(x, i, 2)
}

// values is memory of a rank, half with its value for the first piece.
func values(r *parallel.Rank, n int) (kernels.Tensor, []float32, error) {
	b, err := r.Device.Alloc(kernels.F32, n)
	if err != nil {
		return kernels.Tensor{}, nil, err
	}
	r.Defer(b.Free)
	data := b.(kernels.HostBuffer).Data().([]float32)[:n]
	for i := range data {
		data[i] = float32(math.Pow10(r.ID)) * float32(1+2*i/n)
	}
	return kernels.Of(b, n, 1), data, nil
}

// The compute stream goes on behind what it has started though the other rank has not come to it yet, and then holds each piece's use until the piece is there.
func TestAsideGoesOnBesideTheComputeStream(t *testing.T) {
	for name, c := range started {
		passed := make(chan struct{})
		l := parallel.InProcess{
			Open: func(int, int) (kernels.Device, error) { return cpu.New(cpu.Config{Threads: 1}) }, Connect: local.New, Stall: 10 * time.Second,
		}
		err := l.Run(t.Context(), parallel.Strategy{TP: 2, Sequence: c.sequence, Aside: true}, func(ctx context.Context, r *parallel.Rank) error {
			all, _, err := values(r, 4)
			if err != nil {
				return err
			}
			got, data, err := values(r, 4)
			if err != nil {
				return err
			}
			aside, err := tp.NewAside(r.Device, r.TP, r.Aside, 2, r.Compute.Wait)
			if err != nil {
				return err
			}
			r.Defer(aside.Close)
			x, region := all, block.Region(tp.Region{Cut: tp.NewCut(2), Comm: r.TP, Aside: aside})
			if c.sequence {
				if x, _, err = values(r, 2); err != nil {
					return err
				}
				region = tp.Sequence{Cut: tp.NewCut(2), Comm: r.TP, All: all, Sums: all, Next: all, Aside: aside}
			}
			if r.ID == 1 {
				select {
				case <-passed:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			c.start(r.Compute, region, x)
			r.Compute.Fill(got, 0)
			if r.ID == 0 {
				if err := r.Compute.Sync(); err != nil {
					return err
				}
				close(passed)
			}
			at := 0
			for i := range 2 {
				part := c.end(r.Compute, region, x, i)
				r.Compute.Copy(got.Slice(at, at+part.Size()), part)
				at += part.Size()
			}
			if err := r.Compute.Sync(); err != nil {
				return err
			}
			if want := slices.Concat(c.want[:]...); !slices.Equal(data[:at], want) {
				return fmt.Errorf("rank %d has %v, want %v", r.ID, data[:at], want)
			}
			return aside.Err()
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
