package parallel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
)

const stall = 600 * time.Millisecond

// watched starts three ranks, of which rank 1 does something and the others wait for it in a barrier.
func watched(ctx context.Context, rank1 func(r *parallel.Rank) error) (time.Duration, error) {
	l := parallel.InProcess{Stall: stall, Connect: local.New, Open: func(int, int) (kernels.Device, error) { return cpu.New(cpu.Config{Threads: 1}) }}
	begin := time.Now()
	err := l.Run(ctx, parallel.Strategy{DP: 3}, func(_ context.Context, r *parallel.Rank) error {
		if r.ID == 1 {
			if err := rank1(r); err != nil {
				return err
			}
		}
		r.All.Barrier(r.Compute)
		return r.Compute.Sync()
	})
	return time.Since(begin), err
}

// A rank that stalls, or does not come back when the run is given up or another rank fails, holds nobody for long. The cases run at once, for they only wait.
func TestRankThatStalls(t *testing.T) {
	end := make(chan struct{})
	never := func(*parallel.Rank) error { <-end; return nil }
	boom, interrupted := errors.New("boom"), errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	var all sync.WaitGroup
	for _, test := range []struct {
		name string
		ctx  context.Context
		do   func(r *parallel.Rank) error
		want string
	}{
		{"between calls", t.Context(), never, "rank 1 stalled: others wait for it; rank 1: "},
		{"in its stream", t.Context(), func(r *parallel.Rank) error {
			r.Compute.(kernels.HostStream).Do(func() error { return never(r) })
			return nil
		}, "rank 1 stalled: others wait for it; rank 1: "},
		{"all wait", t.Context(), func(r *parallel.Rank) error {
			b, err := r.Device.Alloc(kernels.F32, 1)
			if err != nil {
				return err
			}
			r.All.Recv(r.Compute, kernels.Of(b, 1), 0) // which nobody sends
			return nil
		}, "all ranks wait and none computes: deadlock"},
		{"when interrupted", ctx, func(r *parallel.Rank) error {
			time.AfterFunc(stall/10, func() { cancel(interrupted) }) // when all ranks have come as far as this
			return never(r)
		}, "rank 0: communicator aborted: interrupted"},
		{"when another one fails", t.Context(), func(r *parallel.Rank) error {
			r.All.Abort(fmt.Errorf("rank 2: %w", boom))
			return never(r)
		}, "rank 0: communicator aborted: rank 2: boom"},
	} {
		all.Go(func() {
			took, err := watched(test.ctx, test.do)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || took > 10*time.Second {
				t.Errorf("%s: %v after %v, want %q", test.name, err, took, test.want)
			}
		})
	}
	all.Wait()
	if n := parallel.LeftBehind(); n != 4 {
		t.Errorf("%d ranks were left behind, want 4", n)
	}
	close(end)
	for limit := time.Now().Add(10 * time.Second); parallel.LeftBehind() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("ranks that have come back count as left behind")
		}
	}
}

// Where other processes leave this one no processor, it is taken for one that does nothing; then there is nothing to see here.
func TestRankWithMuchToDo(t *testing.T) {
	before, _ := comm.ProcessTime()
	sum := 0
	took, err := watched(t.Context(), func(*parallel.Rank) error {
		for begin := time.Now(); time.Since(begin) < 5*stall; sum++ {
		}
		return nil
	})
	after, _ := comm.ProcessTime()
	if share := (after - before).Seconds() / took.Seconds(); err != nil && share > 0.1 {
		t.Errorf("%v after %v, with %.0f %% of a processor", err, took, 100*share)
	}
}

// What wraps a communicator hides nothing of it.
func TestWrappedCommunicators(t *testing.T) {
	c := wrapper{wrapper{local.New(2)[0]}}
	if _, ok := comm.As[interface{ Err() error }](c); !ok || comm.JournalOf(c) == nil {
		t.Error("a wrapped communicator has no error or no journal")
	}
	if _, ok := comm.As[interface{ Nothing() }](c); ok {
		t.Error("a communicator has what it has not")
	}
}

type wrapper struct{ comm.Communicator }

func (w wrapper) Unwrap() comm.Communicator { return w.Communicator }
