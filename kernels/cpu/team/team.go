// Package team runs one piece of work on a fixed set of threads, each bound to
// a core: the fork and join below every CPU kernel. Starting costs about a
// microsecond, because idle workers spin briefly before they park. It is not a
// task queue: all workers run the same body, once per Run.
package team

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Body is work that a Team shares. Part is called once for each worker from 0
// to workers-1, concurrently, and does that worker's part.
type Body interface {
	Part(worker, workers int)
}

// Func makes a function a Body. Converting a closure may allocate; kernels that
// must not keep a Body of their own.
type Func func(worker, workers int)

// Part calls f.
func (f Func) Part(worker, workers int) { f(worker, workers) }

// Panic is what Run panics with when a worker other than the caller panicked.
type Panic struct {
	Worker int
	Value  any    // what the worker panicked with
	Stack  []byte // the worker's stack
}

func (p *Panic) Error() string {
	return fmt.Sprintf("team: worker %d: %v\n%s", p.Worker, p.Value, p.Stack)
}

// How long a waiter looks before it parks. To be woken takes it some 50 µs, so it
// looks for longer than that: the gap between two kernels and the difference
// between two workers' parts are mostly less. Where there are not cores for all,
// a waiter keeps others from their work and parks at once.
const patience = 100 * time.Microsecond

// looks is how often a waiter looks between two looks at the clock.
const looks = 64

// Team is a fixed set of workers. The caller of Run is worker 0; the others are
// goroutines locked to threads of their own. Run must not be called
// concurrently nor from within a body.
type Team struct {
	body    Body
	pending atomic.Int32 // workers that have not finished the current body
	caller  gate
	workers []*worker
	panics  atomic.Pointer[Panic]
	pinErr  error
	closed  bool

	patience time.Duration
}

type worker struct {
	ticket atomic.Uint32 // bumped once per body
	gate   gate
}

// New starts a team of one worker per core. cores[0] is the caller's: pin it
// first with Pin. Where the system refuses to pin, the team works unpinned and
// PinErr says why.
func New(cores []int) *Team {
	if len(cores) == 0 {
		panic("team: no cores")
	}
	return start(len(cores), cores)
}

// NewUnpinned starts a team of n workers that the system schedules freely.
func NewUnpinned(n int) *Team {
	if n < 1 {
		panic("team: size below one")
	}
	return start(n, nil)
}

func start(n int, cores []int) *Team {
	t := &Team{workers: make([]*worker, n-1)}
	if n <= min(runtime.GOMAXPROCS(0), runtime.NumCPU()) {
		t.patience = patience
	}
	t.caller.init()
	pinned := make(chan error, n)
	for i := range t.workers {
		w := &worker{}
		w.gate.init()
		t.workers[i] = w
		core := -1
		if cores != nil {
			core = cores[i+1]
		}
		go t.serve(w, i+1, core, pinned)
	}
	for range t.workers {
		if err := <-pinned; err != nil && t.pinErr == nil {
			t.pinErr = err
		}
	}
	return t
}

// Size returns the number of workers, the caller included.
func (t *Team) Size() int { return len(t.workers) + 1 }

// PinErr returns why a worker could not be pinned, or nil.
func (t *Team) PinErr() error { return t.pinErr }

// Run calls b.Part on every worker and returns when all are done. It does not
// allocate. A panic in the caller's part continues after the others are done; a
// panic in another worker's part panics here with a *Panic.
func (t *Team) Run(b Body) {
	if t.closed {
		panic("team: Run after Close")
	}
	if len(t.workers) == 0 {
		b.Part(0, 1)
		return
	}
	t.fork(b)
	t.callerPart(b)
	if p := t.panics.Swap(nil); p != nil {
		panic(p)
	}
}

// callerPart runs the caller's share; the join is deferred so that a panic
// never leaves while others still use the body.
func (t *Team) callerPart(b Body) {
	defer t.join()
	b.Part(0, t.Size())
}

func (t *Team) fork(b Body) {
	t.body = b
	t.pending.Store(int32(len(t.workers)))
	for _, w := range t.workers {
		w.ticket.Add(1)
		w.gate.open()
	}
}

func (t *Team) join() {
	t.caller.wait(t.done, t.patience)
	t.body = nil
}

func (t *Team) done() bool { return t.pending.Load() == 0 }

// Close ends the workers and their threads. The team must be idle.
func (t *Team) Close() {
	if t.closed {
		return
	}
	if len(t.workers) > 0 {
		t.fork(nil)
		t.join()
	}
	t.closed = true
}

// serve is a worker's life. It never unlocks its thread: a goroutine that ends
// locked takes its thread, and so the changed affinity, with it.
func (t *Team) serve(w *worker, id, core int, pinned chan<- error) {
	runtime.LockOSThread()
	var err error
	if core >= 0 {
		err = setAffinity(core)
	}
	pinned <- err
	var seen uint32
	arrived := func() bool { return w.ticket.Load() != seen }
	for {
		w.gate.wait(arrived, t.patience)
		seen++
		body := t.body
		if body != nil {
			t.protect(body, id)
		}
		if t.pending.Add(-1) == 0 {
			t.caller.open()
		}
		if body == nil {
			return
		}
	}
}

// protect runs one part and records its panic, the first to come.
func (t *Team) protect(b Body, id int) {
	defer func() {
		if v := recover(); v != nil {
			t.panics.CompareAndSwap(nil, &Panic{Worker: id, Value: v, Stack: debug.Stack()})
		}
	}()
	b.Part(id, t.Size())
}

// gate parks one waiter until another goroutine opens it.
type gate struct {
	parked atomic.Bool
	wake   chan struct{}
}

func (g *gate) init() { g.wake = make(chan struct{}, 1) }

// wait returns when ready holds; it looks for so long, then parks. Whoever clears parked owns the wake-up: the
// opener then sends exactly one. A late open from an earlier round may wake the
// waiter too soon, so it looks again.
func (g *gate) wait(ready func() bool, patience time.Duration) {
	for start := time.Now(); time.Since(start) < patience; {
		for range looks {
			if ready() {
				return
			}
		}
	}
	for !ready() {
		g.parked.Store(true)
		if ready() && g.parked.CompareAndSwap(true, false) {
			return
		}
		<-g.wake
	}
}

// open wakes the waiter if it has parked.
func (g *gate) open() {
	if g.parked.CompareAndSwap(true, false) {
		g.wake <- struct{}{}
	}
}
