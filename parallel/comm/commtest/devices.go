package commtest

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Devices are worlds of ranks that are goroutines, each with a device of its own.
type Devices struct {
	// New makes the devices of a world; the seed is that of whatever order they have. The function opens that of a rank.
	New func(t *testing.T, ranks int, seed uint64) (open func(rank int) (kernels.Device, error))
	// Connect makes a world's communicators.
	Connect func(t *testing.T, ranks int) []comm.Communicator
	// Most ranks of a world; 0: 4.
	Most int
}

// Rank is one rank's end of such a world.
type Rank struct {
	comm.Communicator
	Device kernels.Device
	Stream kernels.Stream
	bufs   []kernels.Buffer
}

// World runs body as every rank at once. The devices must be left with nothing.
func (w Devices) World(t *testing.T, ranks int, seed uint64, body func(r *Rank) error) []error {
	t.Helper()
	open := w.New(t, ranks, seed)
	errs := make([]error, ranks)
	var working, all sync.WaitGroup
	working.Add(ranks)
	for i, c := range w.Connect(t, ranks) {
		all.Go(func() {
			r := &Rank{Communicator: c}
			defer func() {
				working.Done()
				working.Wait()
				if err := r.close(); err != nil {
					t.Errorf("rank %d leaves: %v", i, err)
				}
			}()
			errs[i] = r.run(func() (kernels.Device, error) { return open(i) }, body)
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

// run opens the rank's device, and aborts the world if anything fails.
func (r *Rank) run(open func() (kernels.Device, error), body func(r *Rank) error) (err error) {
	defer func() {
		if err != nil {
			r.Abort(err)
		}
		if r.Stream != nil {
			r.Stream.Sync()
		}
	}()
	if r.Device, err = open(); err != nil {
		return err
	}
	if r.Stream, err = r.Device.NewStream(); err != nil {
		return err
	}
	if err := r.Bind(r.Stream); err != nil {
		return err
	}
	return body(r)
}

func (r *Rank) close() error {
	for _, b := range r.bufs {
		b.Free()
	}
	errs := []error{r.Communicator.Close()}
	if r.Stream != nil {
		errs = append(errs, r.Stream.Close())
	}
	if r.Device != nil {
		errs = append(errs, r.Device.Close())
	}
	return errors.Join(errs...)
}

// Tensor is n zeroed elements on the rank's device, until the world ends.
func (r *Rank) Tensor(dt kernels.DType, n int) kernels.Tensor {
	b, err := r.Device.Alloc(dt, n)
	if err != nil {
		panic(err)
	}
	r.bufs = append(r.bufs, b)
	return kernels.Of(b, n)
}

func dense(values []float64) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(values)), tensor.WithBacking(values))
}

// Fill gives x the values of a rank.
func (r *Rank) Fill(x kernels.Tensor, from int) {
	v := make([]float64, x.Size())
	for i := range v {
		v[i] = Value(from, i)
	}
	r.Stream.Upload(x, dense(v))
}

// Expect holds x to the values wanted.
func (r *Rank) Expect(x kernels.Tensor, want func(i int) float64) error {
	got := make([]float64, x.Size())
	if err := r.Stream.Download(dense(got), x); err != nil {
		return err
	}
	for i, g := range got {
		if w := want(i); g != w {
			return fmt.Errorf("rank %d: element %d of %d is %g, want %g", r.Rank(), i, x.Size(), g, w)
		}
	}
	return nil
}

// deviceCollectives runs each collective with n elements (per rank where parts are concerned), and checks the result.
var deviceCollectives = map[string]func(r *Rank, t kernels.DType, n int) error{
	"all-reduce": func(r *Rank, t kernels.DType, n int) error {
		src, dst := r.Tensor(t, n), r.Tensor(t, n)
		r.Fill(src, r.Rank())
		r.AllReduce(r.Stream, dst, src)
		return errors.Join(r.Expect(dst, func(i int) float64 { return sumOf(r.Size(), i) }), r.Expect(src, func(i int) float64 { return Value(r.Rank(), i) }))
	},
	"all-reduce in place": func(r *Rank, t kernels.DType, n int) error {
		whole := r.Tensor(t, n+6) // an odd offset, and guards
		x := whole.At(3, n)
		r.Fill(x, r.Rank())
		r.AllReduce(r.Stream, x, x)
		return r.Expect(whole, func(i int) float64 {
			if i < 3 || i >= n+3 {
				return 0
			}
			return sumOf(r.Size(), i-3)
		})
	},
	"reduce-scatter": func(r *Rank, t kernels.DType, n int) error {
		src := r.Tensor(t, n*r.Size())
		r.Fill(src, r.Rank())
		dst := src.At(r.Rank()*n, n) // in place
		r.ReduceScatter(r.Stream, dst, src)
		return r.Expect(dst, func(i int) float64 { return sumOf(r.Size(), r.Rank()*n+i) })
	},
	"all-gather": func(r *Rank, t kernels.DType, n int) error {
		dst := r.Tensor(t, n*r.Size())
		src := dst.At(r.Rank()*n, n)
		r.Fill(src, r.Rank())
		r.AllGather(r.Stream, dst, src)
		return r.Expect(dst, func(i int) float64 { return Value(i/n, i%n) })
	},
	"all-to-all": func(r *Rank, t kernels.DType, n int) error {
		src, dst := r.Tensor(t, n*r.Size()), r.Tensor(t, n*r.Size())
		r.Fill(src, r.Rank())
		r.AllToAll(r.Stream, dst, src)
		return r.Expect(dst, func(i int) float64 { return Value(i/n, r.Rank()*n+i%n) })
	},
	"broadcast": func(r *Rank, t kernels.DType, n int) error {
		x := r.Tensor(t, n)
		for root := range r.Size() {
			r.Fill(x, r.Rank()+root)
			r.Broadcast(r.Stream, x, root)
			if err := r.Expect(x, func(i int) float64 { return Value(2*root, i) }); err != nil {
				return err
			}
		}
		return nil
	},
	"ring of sends": func(r *Rank, t kernels.DType, n int) error {
		p := r.Size()
		if p == 1 {
			return nil
		}
		src, dst := r.Tensor(t, n), r.Tensor(t, n)
		r.Fill(src, r.Rank())
		for range 3 { // marks are used again
			if r.Rank() == 0 {
				r.Recv(r.Stream, dst, p-1)
				r.Send(r.Stream, src, 1)
			} else {
				r.Send(r.Stream, src, (r.Rank()+1)%p)
				r.Recv(r.Stream, dst, r.Rank()-1)
			}
		}
		return r.Expect(dst, func(i int) float64 { return Value((r.Rank()+p-1)%p, i) })
	},
	"group": func(r *Rank, t kernels.DType, n int) error { // everyone sends to everyone, which one by one would wait for ever
		mine, all := r.Tensor(t, n), r.Tensor(t, n*r.Size())
		r.Fill(mine, r.Rank())
		r.Group(r.Stream, func() {
			for q := range r.Size() {
				if q != r.Rank() {
					r.Send(r.Stream, mine, q)
					r.Recv(r.Stream, all.At(q*n, n), q)
				}
			}
		})
		return r.Expect(all, func(i int) float64 {
			if i/n == r.Rank() {
				return 0
			}
			return Value(i/n, i%n)
		})
	},
}

// Run holds an engine to its contract between devices: each collective in these types, and what follows.
func (w Devices) Run(t *testing.T, types ...kernels.DType) {
	most := cmp.Or(w.Most, 4)
	for _, name := range sorted(deviceCollectives) {
		run := deviceCollectives[name]
		t.Run(name, func(t *testing.T) {
			for ranks := 1; ranks <= most; ranks++ {
				for i, dt := range types {
					errs := w.World(t, ranks, uint64(10*ranks+i), func(r *Rank) error {
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
	if most < 2 {
		return
	}
	if most >= 4 {
		t.Run("split", w.split)
	}
	t.Run("counts", w.counts)
	t.Run("failures", w.failures)
}

// split makes groups that talk apart, and one without a rank.
func (w Devices) split(t *testing.T) {
	errs := w.World(t, 4, 3, func(r *Rank) error {
		row, err := r.Split(r.Rank()/2, -r.Rank()) // two groups of two, in reverse order
		if err != nil {
			return err
		}
		if row.Size() != 2 || row.Rank() != 1-r.Rank()%2 {
			return fmt.Errorf("rank %d became %d of %d", r.Rank(), row.Rank(), row.Size())
		}
		defer row.Close()
		x, y := r.Tensor(kernels.F32, 3), r.Tensor(kernels.F32, 3)
		r.Fill(x, r.Rank())
		row.AllReduce(r.Stream, y, x)
		if err := r.Expect(y, func(i int) float64 { return Value(r.Rank()/2*2, i) + Value(r.Rank()/2*2+1, i) }); err != nil {
			return err
		}
		alone, err := row.Split(row.Rank(), 0)
		if err != nil || alone.Size() != 1 {
			return fmt.Errorf("rank %d of its own: %v", r.Rank(), err)
		}
		defer alone.Close()
		alone.AllReduce(r.Stream, y, x)
		alone.Barrier(r.Stream)
		if err := r.Expect(y, func(i int) float64 { return Value(r.Rank(), i) }); err != nil {
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
			defer rest.Close()
		}
		r.Barrier(r.Stream)
		return r.Stream.Sync()
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// failures of one rank, or its abort, end the others' calls with its reason.
func (w Devices) failures(t *testing.T) {
	died := errors.New("rank 1 died")
	aborts := func(r *Rank, _ kernels.Tensor) { r.Abort(died) }
	w.EndsFor(t, died.Error(), map[string][2]func(r *Rank, x kernels.Tensor){
		"abort":   {aborts, func(r *Rank, x kernels.Tensor) { r.AllReduce(r.Stream, x, x) }},
		"no send": {aborts, func(r *Rank, x kernels.Tensor) { r.Recv(r.Stream, x, 1) }},
		"no recv": {aborts, func(r *Rank, x kernels.Tensor) { r.Send(r.Stream, x, 1) }},
		"late abort": {func(r *Rank, x kernels.Tensor) {
			time.Sleep(10 * time.Millisecond)
			r.Abort(died)
		}, func(r *Rank, x kernels.Tensor) { r.Barrier(r.Stream) }},
		"failed stream": {func(r *Rank, x kernels.Tensor) {
			r.Stream.(kernels.PeerStream).Fail(died)
			r.Barrier(r.Stream)
		}, func(r *Rank, x kernels.Tensor) { r.Barrier(r.Stream) }},
	})
	w.EndsFor(t, "closed communicator", map[string][2]func(r *Rank, x kernels.Tensor){
		"closed": {func(r *Rank, x kernels.Tensor) {
			r.Communicator.Close()
			r.Barrier(r.Stream)
		}, func(r *Rank, x kernels.Tensor) { r.Barrier(r.Stream) }},
	})
}

// EndsFor has rank 1 of two do the first and rank 0 the second of each pair, and wants rank 0's stream to end with a reason.
func (w Devices) EndsFor(t *testing.T, reason string, pairs map[string][2]func(r *Rank, x kernels.Tensor)) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			errs := w.World(t, 2, 5, func(r *Rank) error {
				pair[1-r.Rank()](r, r.Tensor(kernels.F32, 4))
				return r.Stream.Sync()
			})
			if errs[0] == nil || !strings.Contains(errs[0].Error(), reason) {
				t.Errorf("rank 0: %v, want %q", errs[0], reason)
			}
		})
	}
}

// counts are algorithm bytes.
func (w Devices) counts(t *testing.T) {
	errs := w.World(t, 2, 1, func(r *Rank) error {
		x, y := r.Tensor(kernels.F16, 6), r.Tensor(kernels.F16, 12)
		r.AllReduce(r.Stream, x, x)
		r.AllGather(r.Stream, y, x)
		r.ReduceScatter(r.Stream, x, y)
		if r.Rank() == 0 {
			r.Send(r.Stream, x, 1)
		} else {
			r.Recv(r.Stream, x, 0)
		}
		n := r.Counts()
		if n.Bytes[comm.AllReduce] != 12 || n.Bytes[comm.AllGather] != 24 || n.Bytes[comm.ReduceScatter] != 24 || n.Bytes[comm.SendRecv] != 12 {
			return fmt.Errorf("counted %+v", n)
		}
		return r.Stream.Sync()
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
