package cpu

import (
	"sync"
	"sync/atomic"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/team"
)

// event counts its records, so that a Wait knows which one it waits for.
type event struct {
	mu     sync.Mutex
	issued uint64
	done   atomic.Uint64 // written under mu
	at     time.Time     // when the last one completed
	bell   team.Bell     // rings at each completion
}

func newEvent() *event { return &event{} }

// issue counts a record that was enqueued.
func (e *event) issue() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.issued++
	return e.issued
}

// last is the number of the record issued last, 0 if there was none.
func (e *event) last() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.issued
}

func (e *event) complete(number uint64) {
	e.mu.Lock()
	e.at = time.Now()
	e.done.Store(number)
	e.mu.Unlock()
	e.bell.Ring()
}

// await returns when a record has completed. For as long as patience lasts it keeps its core, but for threads that share it.
func (e *event) await(number uint64, patience time.Duration) {
	if patience > 0 {
		for start := time.Now(); e.done.Load() < number && time.Since(start) < patience; {
			team.Yield()
		}
	}
	for rings := e.bell.Rings(); e.done.Load() < number; rings = e.bell.Rings() {
		e.bell.Wait(rings)
	}
}

// Since is the time from start's last record to e's, which must both have completed.
func (e *event) Since(start kernels.Event) time.Duration {
	s := asEvent(start)
	s.mu.Lock()
	from := s.at
	s.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if from.IsZero() || e.at.IsZero() {
		panic("cpu: Since of an event that was never recorded")
	}
	return e.at.Sub(from)
}

func (e *event) Close() error { return nil }

func asEvent(e kernels.Event) *event {
	own, ok := e.(*event)
	if !ok {
		panic("cpu: an event of another device")
	}
	return own
}

type record struct {
	e      *event
	number uint64
}

// Record completes e when all that was enqueued before it has run, or was skipped because of an error.
func (s *Stream) Record(e kernels.Event) {
	own := asEvent(e)
	enqueueAlways(s, &s.pools.record, record{own, own.issue()})
}

func (c *record) run(*Stream) { c.e.complete(c.number) }

type wait struct {
	e      *event
	number uint64
}

// Wait holds what is enqueued later until e's last Record has completed; an event that was never recorded holds nothing.
func (s *Stream) Wait(e kernels.Event) {
	own := asEvent(e)
	enqueueAlways(s, &s.pools.wait, wait{own, own.last()})
}

func (c *wait) run(s *Stream) { c.e.await(c.number, s.eventPatience()) }
