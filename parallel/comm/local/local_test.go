package local_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/kerneltest"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
)

var types = []kernels.DType{kernels.F64, kernels.F32, kernels.F16, kernels.BF16, kernels.I32}

// world runs body as every rank at once, and fails the test if that takes longer than a minute.
func world(t *testing.T, ranks int, body func(c comm.Communicator, s *stream) error) []error {
	t.Helper()
	errs := make([]error, ranks)
	var wg sync.WaitGroup
	for r, c := range local.New(ranks) {
		wg.Go(func() {
			s := newStream()
			defer s.Close()
			errs[r] = body(c, s)
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("hangs")
	}
	return errs
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for r, err := range errs {
		if err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

// value is a small whole number, so that sums are exact in every type.
func value(rank, i int) float64 { return float64((rank*7+i*3)%11 - 5) }

func fill(x kernels.Tensor, rank int) {
	for i := range x.Size() {
		set(x, i, value(rank, i))
	}
}

func expect(x kernels.Tensor, want func(i int) float64) error {
	for i := range x.Size() {
		if g, w := get(x, i), want(i); g != w {
			return fmt.Errorf("element %d of %d is %g, want %g", i, x.Size(), g, w)
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
var collectives = map[string]func(c comm.Communicator, s *stream, t kernels.DType, n int) error{
	"all-reduce": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		src, dst := newTensor(t, n), newTensor(t, n)
		fill(src, c.Rank())
		c.AllReduce(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return errors.Join(expect(dst, func(i int) float64 { return sumOf(c.Size(), i) }),
			expect(src, func(i int) float64 { return value(c.Rank(), i) }))
	},
	"all-reduce in place": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		x := newTensor(t, n+6).At(3, n) // an odd offset, and guards
		fill(x, c.Rank())
		c.AllReduce(s, x, x)
		if err := s.Sync(); err != nil {
			return err
		}
		whole := kernels.Of(x.Buf, n+6)
		for _, i := range []int{0, 1, 2, n + 3, n + 4, n + 5} {
			if get(whole, i) != 0 {
				return fmt.Errorf("wrote outside the tensor, at %d", i-3)
			}
		}
		return expect(x, func(i int) float64 { return sumOf(c.Size(), i) })
	},
	"reduce-scatter": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		src, dst := newTensor(t, n*c.Size()), newTensor(t, n)
		fill(src, c.Rank())
		c.ReduceScatter(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return sumOf(c.Size(), c.Rank()*n+i) })
	},
	"all-gather": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		dst := newTensor(t, n*c.Size())
		src := dst.At(c.Rank()*n, n)
		fill(src, c.Rank())
		c.AllGather(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return value(i/n, i%n) })
	},
	"all-to-all": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		src, dst := newTensor(t, n*c.Size()), newTensor(t, n*c.Size())
		fill(src, c.Rank())
		c.AllToAll(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return value(i/n, c.Rank()*n+i%n) })
	},
	"broadcast": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		x := newTensor(t, n)
		for root := range c.Size() {
			fill(x, c.Rank()+root)
			c.Broadcast(s, x, root)
			if err := s.Sync(); err != nil {
				return err
			}
			if err := expect(x, func(i int) float64 { return value(2*root, i) }); err != nil {
				return err
			}
		}
		return nil
	},
	"ring of sends": func(c comm.Communicator, s *stream, t kernels.DType, n int) error {
		src, dst, p := newTensor(t, n), newTensor(t, n), c.Size()
		fill(src, c.Rank())
		send := func() { c.Send(s, src, (c.Rank()+1)%p) }
		recv := func() { c.Recv(s, dst, (c.Rank()+p-1)%p) }
		if p == 1 {
			return nil
		}
		if c.Rank() == 0 {
			recv()
			send()
		} else {
			send()
			recv()
		}
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return value((c.Rank()+p-1)%p, i) })
	},
}

func TestCollectives(t *testing.T) {
	for name, run := range collectives {
		t.Run(name, func(t *testing.T) {
			for ranks := 1; ranks <= 8; ranks++ {
				for _, dt := range types {
					for _, n := range []int{1, 2, 15, 16, 17, 97, 1000} {
						errs := world(t, ranks, func(c comm.Communicator, s *stream) error { return run(c, s, dt, n) })
						if err := errors.Join(errs...); err != nil {
							t.Fatalf("%d ranks, %v, n=%d: %v", ranks, dt, n, err)
						}
					}
				}
			}
		})
	}
}

// Sums are rounded alike on every rank, where the order of additions matters.
func TestAllReduceSameBits(t *testing.T) {
	const ranks, n = 5, 333
	var all [ranks]kernels.Tensor
	noErrors(t, world(t, ranks, func(c comm.Communicator, s *stream) error {
		x := newTensor(kernels.F32, n)
		for i := range n {
			set(x, i, 1/(1+float64(i*ranks+c.Rank())))
		}
		all[c.Rank()] = x
		c.AllReduce(s, x, x)
		return s.Sync()
	}))
	for r := 1; r < ranks; r++ {
		if err := expect(all[r], func(i int) float64 { return get(all[0], i) }); err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

func TestManyCallsInARow(t *testing.T) {
	const ranks, calls = 3, 200
	noErrors(t, world(t, ranks, func(c comm.Communicator, s *stream) error {
		x := newTensor(kernels.F64, 5)
		set(x, 0, 1)
		for range calls / 2 {
			c.AllReduce(s, x, x)
			c.Broadcast(s, x, 1)
			c.Barrier(s)
			s.Do(func() error { set(x, 0, get(x, 0)/ranks); return nil })
		}
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(x, func(i int) float64 { return max(0, float64(1-i)) })
	}))
}

func TestSplit(t *testing.T) {
	noErrors(t, world(t, 6, func(c comm.Communicator, s *stream) error {
		row, err := c.Split(c.Rank()/3, -c.Rank()) // two groups of three, in reverse order
		if err != nil {
			return err
		}
		if row.Size() != 3 || row.Rank() != 2-c.Rank()%3 {
			return fmt.Errorf("rank %d became %d of %d", c.Rank(), row.Rank(), row.Size())
		}
		x := newTensor(kernels.I32, 1)
		set(x, 0, float64(c.Rank()))
		row.AllReduce(s, x, x)
		if err := s.Sync(); err != nil {
			return err
		}
		if want := float64(c.Rank()/3*9 + 3); get(x, 0) != want {
			return fmt.Errorf("the row's sum is %g, want %g", get(x, 0), want)
		}
		color := 0
		if c.Rank() == 4 {
			color = -1
		}
		rest, err := c.Split(color, 0)
		if err != nil {
			return err
		}
		if (rest == nil) != (c.Rank() == 4) || rest != nil && rest.Size() != 5 {
			return fmt.Errorf("rank %d got %v", c.Rank(), rest)
		}
		return nil
	}))
}

func TestAbortWhileWaiting(t *testing.T) {
	const ranks = 4
	dead := errors.New("rank 2 died")
	for name, call := range map[string]func(c comm.Communicator, s *stream){
		"all-reduce": func(c comm.Communicator, s *stream) {
			x := newTensor(kernels.F32, 100)
			c.AllReduce(s, x, x)
		},
		"barrier": func(c comm.Communicator, s *stream) { c.Barrier(s) },
		"recv":    func(c comm.Communicator, s *stream) { c.Recv(s, newTensor(kernels.F32, 1), 2) },
		"send":    func(c comm.Communicator, s *stream) { c.Send(s, newTensor(kernels.F32, 1), 2) },
	} {
		t.Run(name, func(t *testing.T) {
			errs := world(t, ranks, func(c comm.Communicator, s *stream) error {
				if c.Rank() == 2 {
					time.Sleep(5 * time.Millisecond)
					c.Abort(dead)
					return nil
				}
				call(c, s)
				call(c, s)
				return s.Sync()
			})
			for r, err := range errs {
				if r != 2 && (!errors.Is(err, comm.ErrAborted) || !errors.Is(err, dead)) {
					t.Errorf("rank %d: %v, want it aborted by rank 2", r, err)
				}
			}
		})
	}
}

func TestAbortReachesSplitsAndSplit(t *testing.T) {
	dead := errors.New("rank 0 died")
	errs := world(t, 4, func(c comm.Communicator, s *stream) error {
		sub, err := c.Split(c.Rank()/2, 0)
		if err != nil {
			return err
		}
		switch c.Rank() {
		case 0:
			c.Abort(dead)
			return dead
		case 1:
			_, err := c.Split(0, 0) // rank 0 never comes
			return err
		}
		if c.Rank() == 2 {
			sub.Recv(s, newTensor(kernels.F32, 1), 1) // nor does rank 3
			return s.Sync()
		}
		_, err = sub.Split(0, 0)
		return err
	})
	for r, err := range errs {
		if !errors.Is(err, dead) {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

func TestMismatchedCalls(t *testing.T) {
	for name, call := range map[string]func(c comm.Communicator, s *stream, x kernels.Tensor){
		"size":       func(c comm.Communicator, s *stream, x kernels.Tensor) { c.AllReduce(s, x, x) },
		"collective": func(c comm.Communicator, s *stream, x kernels.Tensor) { c.Barrier(s) },
		"send":       func(c comm.Communicator, s *stream, x kernels.Tensor) { c.Recv(s, x, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			errs := world(t, 2, func(c comm.Communicator, s *stream) error {
				switch {
				case c.Rank() == 0:
					call(c, s, newTensor(kernels.F32, 3))
				case name == "send":
					c.Send(s, newTensor(kernels.F32, 4), 0)
				default:
					x := newTensor(kernels.F32, 4)
					c.AllReduce(s, x, x)
				}
				return s.Sync()
			})
			for r, err := range errs {
				if err == nil || !strings.Contains(err.Error(), "rank 1") || !strings.Contains(err.Error(), "4 fp32") {
					t.Errorf("rank %d: %v", r, err)
				}
			}
		})
	}
}

func TestClosed(t *testing.T) {
	errs := world(t, 2, func(c comm.Communicator, s *stream) error {
		if c.Rank() == 1 {
			c.Close()
		}
		c.Barrier(s)
		return s.Sync()
	})
	for r, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

func TestCounts(t *testing.T) {
	noErrors(t, world(t, 2, func(c comm.Communicator, s *stream) error {
		x, y := newTensor(kernels.F16, 6), newTensor(kernels.F16, 12)
		c.AllReduce(s, x, x)
		c.AllGather(s, y, x)
		c.ReduceScatter(s, x, y)
		if c.Rank() == 0 {
			c.Send(s, x, 1)
		} else {
			c.Recv(s, x, 0)
		}
		n := c.Counts()
		if n.Bytes[comm.AllReduce] != 12 || n.Bytes[comm.AllGather] != 24 || n.Bytes[comm.ReduceScatter] != 24 || n.Bytes[comm.SendRecv] != 12 {
			return fmt.Errorf("counted %+v", n)
		}
		return s.Sync()
	}))
}

func TestNoAllocationWhenWarm(t *testing.T) {
	noErrors(t, world(t, 1, func(c comm.Communicator, s *stream) error {
		x := newTensor(kernels.F32, 100)
		set(x, 0, 1)
		if n := kerneltest.Allocs(100, func() {
			c.AllReduce(s, x, x)
			c.Barrier(s)
			s.Sync()
		}); n != 0 {
			return fmt.Errorf("%v allocations a call", n)
		}
		return nil
	}))
}

func TestProgrammerErrors(t *testing.T) {
	c := local.New(2)[0]
	s := newStream()
	defer s.Close()
	x, y := newTensor(kernels.F32, 4), newTensor(kernels.F32, 5)
	for name, f := range map[string]func(){
		"no ranks":       func() { local.New(0) },
		"all-reduce":     func() { c.AllReduce(s, x, y) },
		"reduce-scatter": func() { c.ReduceScatter(s, x, y) },
		"all-gather":     func() { c.AllGather(s, y, x) },
		"all-to-all":     func() { c.AllToAll(s, y, y) },
		"peer":           func() { c.Send(s, x, 2) },
		"root":           func() { c.Broadcast(s, x, -1) },
		"device memory":  func() { c.Barrier(s.Stream) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
