package peer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/peer"
)

// rank is one rank's end of a world of simulated GPUs.
type rank struct {
	comm.Communicator
	dev    kernels.Device
	stream kernels.Stream
	bufs   []kernels.Buffer
}

// world runs body as every rank at once on simulated GPUs, which must be left with nothing.
func world(t *testing.T, ranks int, seed uint64, body func(r *rank) error) []error {
	t.Helper()
	gpus := ptxsim.New(ptxsim.Config{Devices: ranks, Seed: seed})
	errs := make([]error, ranks)
	var working, all sync.WaitGroup
	working.Add(ranks)
	for i, c := range peer.New(ranks) {
		all.Go(func() {
			dev, err := cuda.Open(gpus, i)
			if err != nil {
				t.Error(err)
			}
			r := &rank{Communicator: c, dev: dev}
			if r.stream, err = dev.NewStream(); err != nil {
				t.Error(err)
			}
			errs[i] = body(r)
			if errs[i] != nil {
				c.Abort(errs[i])
			}
			r.stream.Sync()
			working.Done()
			working.Wait()
			for _, b := range r.bufs {
				b.Free()
			}
			if err := errors.Join(c.Close(), r.stream.Close(), dev.Close()); err != nil {
				t.Errorf("rank %d leaves: %v", i, err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("hangs")
	}
	return errs
}

func (r *rank) tensor(dt kernels.DType, n int) kernels.Tensor {
	b, err := r.dev.Alloc(dt, n)
	if err != nil {
		panic(err)
	}
	r.bufs = append(r.bufs, b)
	return kernels.Of(b, n)
}

func host(values []float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values))
}

// value is a small whole number, so that sums are exact in every type.
func value(rank, i int) float64 { return float64((rank*7+i*3)%11 - 5) }

func (r *rank) fill(x kernels.Tensor, from int) {
	v := make([]float64, x.Size())
	for i := range v {
		v[i] = value(from, i)
	}
	r.stream.Upload(x, host(v))
}

func (r *rank) expect(x kernels.Tensor, want func(i int) float64) error {
	got := make([]float64, x.Size())
	if err := r.stream.Download(host(got), x); err != nil {
		return err
	}
	for i, g := range got {
		if w := want(i); g != w {
			return fmt.Errorf("rank %d: element %d of %d is %g, want %g", r.Rank(), i, x.Size(), g, w)
		}
	}
	return nil
}

func sumOf(p, i int) float64 {
	var sum float64
	for r := range p {
		sum += value(r, i)
	}
	return sum
}

// collectives runs each collective with n elements (per rank where parts are concerned), and checks the result.
var collectives = map[string]func(r *rank, t kernels.DType, n int) error{
	"all-reduce": func(r *rank, t kernels.DType, n int) error {
		src, dst := r.tensor(t, n), r.tensor(t, n)
		r.fill(src, r.Rank())
		r.AllReduce(r.stream, dst, src)
		return errors.Join(r.expect(dst, func(i int) float64 { return sumOf(r.Size(), i) }), r.expect(src, func(i int) float64 { return value(r.Rank(), i) }))
	},
	"all-reduce in place": func(r *rank, t kernels.DType, n int) error {
		whole := r.tensor(t, n+6) // an odd offset, and guards
		x := whole.At(3, n)
		r.fill(x, r.Rank())
		r.AllReduce(r.stream, x, x)
		return r.expect(whole, func(i int) float64 {
			if i < 3 || i >= n+3 {
				return 0
			}
			return sumOf(r.Size(), i-3)
		})
	},
	"reduce-scatter": func(r *rank, t kernels.DType, n int) error {
		src := r.tensor(t, n*r.Size())
		r.fill(src, r.Rank())
		dst := src.At(r.Rank()*n, n) // in place
		r.ReduceScatter(r.stream, dst, src)
		return r.expect(dst, func(i int) float64 { return sumOf(r.Size(), r.Rank()*n+i) })
	},
	"all-gather": func(r *rank, t kernels.DType, n int) error {
		dst := r.tensor(t, n*r.Size())
		src := dst.At(r.Rank()*n, n)
		r.fill(src, r.Rank())
		r.AllGather(r.stream, dst, src)
		return r.expect(dst, func(i int) float64 { return value(i/n, i%n) })
	},
	"all-to-all": func(r *rank, t kernels.DType, n int) error {
		src, dst := r.tensor(t, n*r.Size()), r.tensor(t, n*r.Size())
		r.fill(src, r.Rank())
		r.AllToAll(r.stream, dst, src)
		return r.expect(dst, func(i int) float64 { return value(i/n, r.Rank()*n+i%n) })
	},
	"broadcast": func(r *rank, t kernels.DType, n int) error {
		x := r.tensor(t, n)
		for root := range r.Size() {
			r.fill(x, r.Rank()+root)
			r.Broadcast(r.stream, x, root)
			if err := r.expect(x, func(i int) float64 { return value(2*root, i) }); err != nil {
				return err
			}
		}
		return nil
	},
	"ring of sends": func(r *rank, t kernels.DType, n int) error {
		p := r.Size()
		if p == 1 {
			return nil
		}
		src, dst := r.tensor(t, n), r.tensor(t, n)
		r.fill(src, r.Rank())
		for range 3 { // marks are used again
			if r.Rank() == 0 {
				r.Recv(r.stream, dst, p-1)
				r.Send(r.stream, src, 1)
			} else {
				r.Send(r.stream, src, (r.Rank()+1)%p)
				r.Recv(r.stream, dst, r.Rank()-1)
			}
		}
		return r.expect(dst, func(i int) float64 { return value((r.Rank()+p-1)%p, i) })
	},
	"group": func(r *rank, t kernels.DType, n int) error { // everyone sends to everyone, which one by one would wait for ever
		mine, all := r.tensor(t, n), r.tensor(t, n*r.Size())
		r.fill(mine, r.Rank())
		r.Group(r.stream, func() {
			for q := range r.Size() {
				if q != r.Rank() {
					r.Send(r.stream, mine, q)
					r.Recv(r.stream, all.At(q*n, n), q)
				}
			}
		})
		return r.expect(all, func(i int) float64 {
			if i/n == r.Rank() {
				return 0
			}
			return value(i/n, i%n)
		})
	},
}

func TestCollectives(t *testing.T) {
	for name, run := range collectives {
		t.Run(name, func(t *testing.T) {
			for ranks := 1; ranks <= 4; ranks++ {
				for i, dt := range []kernels.DType{kernels.F32, kernels.F16, kernels.BF16} {
					errs := world(t, ranks, uint64(10*ranks+i), func(r *rank) error {
						for _, n := range []int{1, 15, 16, 97, 256} {
							if err := run(r, dt, n); err != nil {
								return err
							}
						}
						return nil
					})
					if err := errors.Join(errs...); err != nil {
						t.Fatalf("%d ranks, %v: %v", ranks, dt, err)
					}
				}
			}
		})
	}
}

// A sum goes through its scratch memory piece by piece, and other types take other scratch.
func TestSumsOfMoreThanTheScratchHolds(t *testing.T) {
	const n = 1<<20/2 + 1000 // 16-bit elements of one rank's part, and a second piece
	errs := world(t, 2, 1, func(r *rank) error {
		small, x := r.tensor(kernels.F32, 5), r.tensor(kernels.BF16, 2*n)
		r.fill(small, r.Rank())
		r.AllReduce(r.stream, small, small)
		r.stream.Fill(x, float64(r.Rank()+1))
		r.AllReduce(r.stream, x, x)
		return errors.Join(r.expect(small, func(i int) float64 { return sumOf(2, i) }), r.expect(x, func(int) float64 { return 3 }))
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestSplitGroupsTalkApart(t *testing.T) {
	errs := world(t, 4, 3, func(r *rank) error {
		row, err := r.Split(r.Rank()/2, -r.Rank()) // two groups of two, in reverse order
		if err != nil {
			return err
		}
		if row.Size() != 2 || row.Rank() != 1-r.Rank()%2 {
			return fmt.Errorf("rank %d became %d of %d", r.Rank(), row.Rank(), row.Size())
		}
		defer row.Close()
		x := r.tensor(kernels.F32, 3)
		r.stream.Fill(x, float64(r.Rank()))
		row.AllReduce(r.stream, x, x)
		if err := r.expect(x, func(int) float64 { return float64(r.Rank()/2*4 + 1) }); err != nil {
			return err
		}
		color := 0
		if r.Rank() == 3 {
			color = -1
		}
		rest, err := r.Split(color, 0)
		if err != nil || (rest == nil) != (r.Rank() == 3) {
			return fmt.Errorf("rank %d got %v, %v", r.Rank(), rest, err)
		}
		if rest != nil {
			rest.Close()
		}
		r.Barrier(r.stream)
		return r.stream.Sync()
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// A rank that aborts, calls something else, sends another size or has failed itself ends the others' calls, with its reason.
func TestWhatGoesWrongReachesEveryRank(t *testing.T) {
	died := errors.New("rank 1 died")
	for name, c := range map[string]struct {
		one, others func(r *rank, x kernels.Tensor)
		want        string
	}{
		"abort":    {func(r *rank, _ kernels.Tensor) { r.Abort(died) }, func(r *rank, x kernels.Tensor) { r.AllReduce(r.stream, x, x) }, "rank 1 died"},
		"no send":  {func(r *rank, _ kernels.Tensor) { r.Abort(died) }, func(r *rank, x kernels.Tensor) { r.Recv(r.stream, x, 1) }, "rank 1 died"},
		"no recv":  {func(r *rank, _ kernels.Tensor) { r.Abort(died) }, func(r *rank, x kernels.Tensor) { r.Send(r.stream, x, 1) }, "rank 1 died"},
		"mismatch": {func(r *rank, _ kernels.Tensor) { r.Barrier(r.stream) }, func(r *rank, x kernels.Tensor) { r.AllReduce(r.stream, x, x) }, "rank 1 calls barrier while rank 0 calls all-reduce of 4 fp32"},
		"size": {func(r *rank, x kernels.Tensor) { r.Send(r.stream, x.At(0, 3), 0) }, func(r *rank, x kernels.Tensor) { r.Recv(r.stream, x, 1) },
			"rank 1 sends 3 fp32, rank 0 expects 4 fp32"},
		"failed stream": {func(r *rank, x kernels.Tensor) {
			r.stream.(kernels.PeerStream).Fail(died)
			r.Barrier(r.stream)
		}, func(r *rank, x kernels.Tensor) { r.Barrier(r.stream) }, "rank 1 died"},
		"closed": {func(r *rank, x kernels.Tensor) {
			r.Close()
			r.Barrier(r.stream)
		}, func(r *rank, x kernels.Tensor) { r.Barrier(r.stream) }, "closed communicator"},
		"type": {func(r *rank, x kernels.Tensor) {
			y := r.tensor(kernels.I32, 4)
			r.AllReduce(r.stream, y, y)
			r.Barrier(r.stream)
		}, func(r *rank, x kernels.Tensor) {
			y := r.tensor(kernels.I32, 4)
			r.AllReduce(r.stream, y, y)
			r.Barrier(r.stream)
		}, "sums of int32"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := world(t, 2, 5, func(r *rank) error {
				x := r.tensor(kernels.F32, 4)
				if r.Rank() == 1 {
					c.one(r, x)
				} else {
					c.others(r, x)
				}
				return r.stream.Sync()
			})
			if errs[0] == nil || !strings.Contains(errs[0].Error(), c.want) {
				t.Errorf("rank 0: %v, want %q", errs[0], c.want)
			}
		})
	}
}

func TestCountsAreAlgorithmBytes(t *testing.T) {
	errs := world(t, 2, 1, func(r *rank) error {
		x, y := r.tensor(kernels.F16, 6), r.tensor(kernels.F16, 12)
		r.AllReduce(r.stream, x, x)
		r.AllGather(r.stream, y, x)
		r.ReduceScatter(r.stream, x, y)
		if r.Rank() == 0 {
			r.Send(r.stream, x, 1)
		} else {
			r.Recv(r.stream, x, 0)
		}
		n := r.Counts()
		if n.Bytes[comm.AllReduce] != 12 || n.Bytes[comm.AllGather] != 24 || n.Bytes[comm.ReduceScatter] != 24 || n.Bytes[comm.SendRecv] != 12 {
			return fmt.Errorf("counted %+v", n)
		}
		return r.stream.Sync()
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
