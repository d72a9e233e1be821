package parallel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ofpeak/parallel/comm"
)

// ending gathers how the ranks of one Run end.
type ending struct {
	working sync.WaitGroup // ranks of this process whose streams may still run
	over    chan struct{}  // all of them have ended

	mu      sync.Mutex
	first   error
	errs    []error
	ranks   int // of this process that have not ended
	busy    int // of them, those whose streams may still run
	stalled bool
	left    bool // Run has returned without those that are busy
}

// newEnding is of a world of which so many ranks are of this process.
func newEnding(world, ranks int) *ending {
	w := &ending{errs: make([]error, world), ranks: ranks, busy: ranks, over: make(chan struct{})}
	w.working.Add(ranks)
	return w
}

func (w *ending) run(ctx context.Context, l InProcess, r *Rank, body func(ctx context.Context, r *Rank) error) {
	err := apart(func() error {
		var err error
		if r.Device, err = l.Open(r.ID, r.World); err != nil {
			return fmt.Errorf("device: %w", err)
		}
		if err := r.open(); err != nil {
			return err
		}
		return body(ctx, r)
	})
	if err != nil {
		w.fail(r, err)
	}
	if err := r.Sync(); err != nil {
		w.fail(r, err)
	}
	w.idle()
	w.working.Wait() // other ranks' streams may read this rank's memory
	if err := guard(r.close); err != nil {
		w.fail(r, err)
	}
	w.end()
}

// fail notes a rank's error and takes the world down with it.
func (w *ending) fail(r *Rank, err error) {
	err = fmt.Errorf("rank %d: %w", r.ID, err)
	w.mu.Lock()
	if w.first == nil && !errors.Is(err, comm.ErrAborted) {
		w.first = err
	}
	w.errs[r.ID] = errors.Join(w.errs[r.ID], err)
	w.mu.Unlock()
	r.All.Abort(err)
}

// leftBehind counts the ranks that Runs have returned without.
var leftBehind atomic.Int64

// LeftBehind is how many ranks of worlds that have ended did not come back, and may still run.
func LeftBehind() int { return int(leftBehind.Load()) }

// idle notes that the streams of one more rank have come to rest.
func (w *ending) idle() {
	w.mu.Lock()
	w.busy--
	if w.left {
		leftBehind.Add(-1)
	}
	w.mu.Unlock()
	w.working.Done()
}

func (w *ending) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ranks--; w.ranks == 0 {
		close(w.over)
	}
}

// watch aborts a world that stands still, until the function that it returns is called.
func (w *ending) watch(comms []comm.Communicator, stall time.Duration) func() {
	var journals []*comm.Journal
	for _, c := range comms {
		if j := comm.JournalOf(c); j != nil {
			journals = append(journals, j)
		}
	}
	if _, known := comm.ProcessTime(); stall == 0 || !known || len(comms) < 2 || len(journals) < len(comms) {
		return func() {}
	}
	quit, all := make(chan struct{}), comms[0]
	go func() {
		if err := standsStill(journals, stall, quit); err != nil {
			w.mu.Lock()
			w.stalled = true
			if w.first == nil && aborted(all) == nil {
				w.first = err
			}
			w.mu.Unlock()
			all.Abort(err)
		}
	}()
	return func() { close(quit) }
}

// standsStill returns when ranks have stood still for so long, or with nil when it is told to quit.
func standsStill(journals []*comm.Journal, stall time.Duration, quit chan struct{}) error {
	peers, every := comm.NewWatch(len(journals), stall), min(stall/20, 250*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-quit:
			return nil
		case <-tick.C:
		}
		now := time.Now()
		cpu, _ := comm.ProcessTime()
		for r, j := range journals {
			if now.Sub(last) > stall/2 { // the whole process was stopped
				peers.Forget(r)
			}
			peers.Take(r, now, j.State().Report(now, cpu))
		}
		last = now
		if err := peers.Err(now, len(journals)); err != nil {
			return err
		}
	}
}

// wait returns when all ranks have ended, or when some have not come back for long after the world ended.
func (w *ending) wait(ctx context.Context, all comm.Communicator, stall time.Duration) error {
	tick := time.NewTicker(Grace / 10)
	defer tick.Stop()
	var since time.Time
	for {
		select {
		case <-w.over:
			return w.result()
		case <-tick.C:
		}
		err := aborted(all)
		switch {
		case err == nil:
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > Grace:
			if (ctx.Err() != nil || w.hasStalled() || stall > 0 && time.Since(since) > Grace+stall) && w.leave() {
				return cmp.Or(w.result(), cause(err))
			}
		}
	}
}

func (w *ending) hasStalled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stalled
}

// leave gives up the ranks that are busy; false if none is, for then they are about to end.
func (w *ending) leave() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy == 0 {
		return false
	}
	w.left = true
	leftBehind.Add(int64(w.busy))
	return true
}

// result prefers the cause to what it caused in other ranks.
func (w *ending) result() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first != nil {
		return w.first
	}
	for _, err := range w.errs {
		if err != nil {
			return err
		}
	}
	return nil
}
