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
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/local"
)

// world runs body as every rank at once, and fails the test if that takes longer than a minute.
func world(t *testing.T, ranks int, body func(c comm.Communicator, s *commtest.Stream) error) []error {
	t.Helper()
	errs := make([]error, ranks)
	var wg sync.WaitGroup
	for r, c := range local.New(ranks) {
		wg.Go(func() {
			s := commtest.NewStream()
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

// The engine's contract, on worlds of up to eight ranks.
func TestConformance(t *testing.T) {
	commtest.Run(t, 8, func(ranks int, body func(c comm.Communicator) error) error {
		errs := make([]error, ranks)
		var wg sync.WaitGroup
		for r, c := range local.New(ranks) {
			wg.Go(func() { errs[r] = body(c) })
		}
		wg.Wait()
		return errors.Join(errs...)
	})
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for r, err := range errs {
		if err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

func TestAbortReachesSplitsAndSplit(t *testing.T) {
	dead := errors.New("rank 0 died")
	errs := world(t, 4, func(c comm.Communicator, s *commtest.Stream) error {
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
			sub.Recv(s, commtest.NewTensor(kernels.F32, 1), 1) // nor does rank 3
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
	for name, call := range map[string]func(c comm.Communicator, s *commtest.Stream, x kernels.Tensor){
		"size":       func(c comm.Communicator, s *commtest.Stream, x kernels.Tensor) { c.AllReduce(s, x, x) },
		"collective": func(c comm.Communicator, s *commtest.Stream, x kernels.Tensor) { c.Barrier(s) },
		"send":       func(c comm.Communicator, s *commtest.Stream, x kernels.Tensor) { c.Recv(s, x, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			errs := world(t, 2, func(c comm.Communicator, s *commtest.Stream) error {
				switch {
				case c.Rank() == 0:
					call(c, s, commtest.NewTensor(kernels.F32, 3))
				case name == "send":
					c.Send(s, commtest.NewTensor(kernels.F32, 4), 0)
				default:
					x := commtest.NewTensor(kernels.F32, 4)
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
	errs := world(t, 2, func(c comm.Communicator, s *commtest.Stream) error {
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

func TestNoAllocationWhenWarm(t *testing.T) {
	noErrors(t, world(t, 1, func(c comm.Communicator, s *commtest.Stream) error {
		x := commtest.NewTensor(kernels.F32, 100)
		commtest.Set(x, 0, 1)
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
	s := commtest.NewStream()
	defer s.Close()
	x, y := commtest.NewTensor(kernels.F32, 4), commtest.NewTensor(kernels.F32, 5)
	for name, f := range map[string]func(){
		"no ranks":       func() { local.New(0) },
		"all-reduce":     func() { c.AllReduce(s, x, y) },
		"reduce-scatter": func() { c.ReduceScatter(s, x, y) },
		"all-gather":     func() { c.AllGather(s, y, x) },
		"all-to-all":     func() { c.AllToAll(s, y, y) },
		"group in group": func() { c.Group(s, func() { c.Group(s, func() {}) }) },
		"sum in a group": func() { c.Group(s, func() { c.AllReduce(s, x, x) }) },
		"two to a peer":  func() { c.Group(s, func() { c.Send(s, x, 1); c.Send(s, y, 1) }) },
		"group there":    func() { c.Group(s.Stream, func() {}) },
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
