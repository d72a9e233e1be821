package parallel_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
)

var launcher = parallel.InProcess{
	Open:    func(int, int) (kernels.Device, error) { return ref.New(), nil },
	Connect: local.New,
}

type body = func(ctx context.Context, r *parallel.Rank) error

// launch fails the test if the world does not end in a minute.
func launch(t *testing.T, ctx context.Context, s parallel.Strategy, b body) error {
	t.Helper()
	end := make(chan error, 1)
	go func() { end <- launcher.Run(ctx, s, b) }()
	select {
	case err := <-end:
		return err
	case <-time.After(time.Minute):
		buf := make([]byte, 1<<16)
		t.Fatalf("hangs:\n%s", buf[:runtime.Stack(buf, true)])
		return nil
	}
}

// Each communicator has the ranks and the order that the mesh gives them.
func TestAxes(t *testing.T) {
	s := parallel.Strategy{DP: 3, TP: 2, PP: 2, CP: 2}
	var ran atomic.Int32
	err := launch(t, t.Context(), s, func(_ context.Context, r *parallel.Rank) error {
		ran.Add(1)
		if r.World != 24 || r.All.Rank() != r.ID {
			return fmt.Errorf("rank %d of %d is %d of all", r.ID, r.World, r.All.Rank())
		}
		c := r.Coord
		for _, axis := range []struct {
			name       string
			c          comm.Communicator
			rank, size int
		}{
			{"dp", r.DP, c.DP*2 + c.CP, 6}, {"tp", r.TP, c.TP, 2}, {"pp", r.PP, c.PP, 2}, {"cp", r.CP, c.CP, 2},
			{"model", r.Model, c.PP*2 + c.TP, 4}, {"data", r.Data, (c.PP*3+c.DP)*2 + c.CP, 12}, {"grads", r.Grads, c.DP*2 + c.CP, 6},
		} {
			if axis.c.Rank() != axis.rank || axis.c.Size() != axis.size {
				return fmt.Errorf("rank %d at %+v is %d of %d on %s", r.ID, c, axis.c.Rank(), axis.c.Size(), axis.name)
			}
		}
		return nil
	})
	if err != nil || ran.Load() != 24 {
		t.Errorf("%d ranks ran: %v", ran.Load(), err)
	}
}

// However one rank fails, all end, and the error names it and its cause.
func TestOneRankFails(t *testing.T) {
	boom := errors.New("boom")
	for name, fail := range map[string]func(r *parallel.Rank) error{
		"error":  func(*parallel.Rank) error { return boom },
		"panic":  func(*parallel.Rank) error { panic("boom") },
		"index":  func(r *parallel.Rank) error { return make([]error, 1)[r.ID] },
		"goexit": func(*parallel.Rank) error { runtime.Goexit(); return nil },
		"stream": func(r *parallel.Rank) error {
			r.Compute.(kernels.HostStream).Do(func() error { return boom })
			return nil
		},
		"cleanup": func(r *parallel.Rank) error { r.Defer(func() { panic("boom") }); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			err := launch(t, t.Context(), parallel.Strategy{DP: 2, PP: 2}, func(_ context.Context, r *parallel.Rank) error {
				if r.ID == 2 {
					return fail(r)
				}
				if name == "cleanup" {
					return nil
				}
				b, err := r.Device.Alloc(kernels.F64, 4)
				if err != nil {
					return err
				}
				r.Defer(b.Free)
				x := kernels.Of(b, 4)
				r.All.AllReduce(r.Compute, x, x)
				if err := r.Compute.Sync(); !errors.Is(err, comm.ErrAborted) || !strings.Contains(err.Error(), "rank 2") {
					return fmt.Errorf("the all-reduce ended with %v, not with rank 2's abort", err)
				}
				return nil
			})
			if err == nil || !strings.HasPrefix(err.Error(), "rank 2: ") {
				t.Errorf("%v does not name rank 2", err)
			}
		})
	}
}

func TestDeviceThatDoesNotOpen(t *testing.T) {
	l := launcher
	l.Open = func(rank, _ int) (kernels.Device, error) {
		if rank == 1 {
			return nil, errors.New("no such device")
		}
		return ref.New(), nil
	}
	err := l.Run(t.Context(), parallel.Strategy{DP: 3}, func(context.Context, *parallel.Rank) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "rank 1: device: no such device") {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	err := launch(t, ctx, parallel.Strategy{DP: 3}, func(_ context.Context, r *parallel.Rank) error {
		if r.ID == 0 {
			cancel(why)
			return nil
		}
		r.All.Barrier(r.Compute) // rank 0 never comes
		return r.Compute.Sync()
	})
	if !errors.Is(err, why) {
		t.Errorf("%v is not the cancellation", err)
	}
}

// Memory is freed only when no rank can read it any more, last first.
func TestDeferOrder(t *testing.T) {
	var mu sync.Mutex
	var log []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf(format, args...))
	}
	err := launch(t, t.Context(), parallel.Strategy{DP: 2}, func(_ context.Context, r *parallel.Rank) error {
		r.Defer(func() { note("first of %d", r.ID) })
		r.Defer(func() { note("second of %d", r.ID) })
		if r.ID == 1 {
			time.Sleep(20 * time.Millisecond)
		}
		note("body of %d", r.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, l := range log {
		at[l] = i
	}
	for _, r := range []string{"0", "1"} {
		if at["first of "+r] < at["second of "+r] || at["second of "+r] < at["body of 1"] {
			t.Errorf("order is %v", log)
		}
	}
}

// A world whose ranks die at random points ends every time.
func TestRandomDeaths(t *testing.T) {
	for trial := range 100 {
		victim, after := trial%4, trial/4
		err := launch(t, t.Context(), parallel.Strategy{DP: 2, TP: 2}, func(_ context.Context, r *parallel.Rank) error {
			b, err := r.Device.Alloc(kernels.F64, 64)
			if err != nil {
				return err
			}
			r.Defer(b.Free)
			x := kernels.Of(b, 64)
			for step := range 30 {
				if r.ID == victim && step == after {
					return errors.New("dies")
				}
				[]comm.Communicator{r.All, r.DP, r.TP}[step%3].AllReduce(r.Compute, x, x)
				if err := r.Compute.Sync(); err != nil {
					return err
				}
			}
			return nil
		})
		if want := fmt.Sprintf("rank %d: dies", victim); err == nil || err.Error() != want {
			t.Fatalf("%v, want %q", err, want)
		}
	}
}
