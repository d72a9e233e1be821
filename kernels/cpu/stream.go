package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/team"
	"ofpeak/kernels/cpu/vec"
)

// command is one enqueued operation. Commands come from the stream's pools and go back after they have run.
type command interface{ run(*Stream) }

// entry is a place in the queue.
type entry struct {
	cmd    command
	home   recycler
	always bool // runs even after an error, so that no other stream or rank waits in vain
}

// Stream runs commands in order on a goroutine of its own, bound to a thread, which is also the first worker of the team. After a
// failure operators are skipped until Sync reports it; Record, Wait and Do still run.
//
// The queue is a pair of slices: callers append to one while the goroutine works off the other, and both keep their memory, so
// that enqueuing neither blocks nor, after the first steps, allocates.
type Stream struct {
	dev      *Device
	set      *vec.Set // for operators without variants
	team     *team.Team
	product  *gemm.Context
	linear   string // the variant that product uses
	computes bool   // it has the device's team
	pools    pools
	arenas   []arena // scratch of each worker
	common   arena   // scratch that workers share

	// State of the command that runs, here so that none of it is allocated.
	current  shared
	partials partials
	units    units
	epilogue epilogue
	slope    activationSlope
	factors8 factors8
	expand   expansion

	length atomic.Int64 // commands enqueued and not yet run
	work   work
	failed bool                       // an error is pending; written by the goroutine, and by Sync while it is idle
	note   func(begin, end time.Time) // nil: no one wants to know

	mu      sync.Mutex
	filled  sync.Cond
	drained sync.Cond
	pending []entry
	err     error
	closed  bool
	ended   chan struct{}
}

func newStream(d *Device) (*Stream, error) {
	s := &Stream{dev: d, set: vec.Of(d.level), ended: make(chan struct{})}
	s.filled.L, s.drained.L = &s.mu, &s.mu
	workers := 1
	if d.owner == nil {
		d.owner = s
		s.computes, workers = true, d.threads
		computing.Add(int64(workers))
	}
	s.arenas = make([]arena, workers)
	addProcessors(workers)
	d.streams.Add(1)
	started := make(chan error)
	go s.serve(workers, started)
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("cpu: start a stream: %w", err), s.Close())
	}
	return s, nil
}

var (
	processors sync.Mutex
	computing  atomic.Int64 // threads of the devices' teams
)

// addProcessors gives the Go runtime processors for threads that compute, beside those for everything else. Otherwise a caller or
// another stream that wakes up on a busy machine waits until the scheduler takes a processor away, which it does every 10 ms.
func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

// longestLook bounds how long a thread that has its core keeps it while it waits. A sleeper is woken some 50 µs late, and milliseconds late where
// another process has taken the core meanwhile.
const longestLook = 4 * time.Millisecond

// Patience is longestLook where the stream is its device's only one, and all such threads of the process together are no more than there are cores.
func (s *Stream) Patience() time.Duration {
	if s.dev.streams.Load() > 1 {
		return 0
	}
	return s.eventPatience()
}

// eventPatience is how long a wait for another stream of the device may look: as for Patience, but other streams, which share a core of the team,
// get it whenever they want it.
func (s *Stream) eventPatience() time.Duration {
	if !s.computes || computing.Load() > int64(runtime.NumCPU()) {
		return 0
	}
	return longestLook
}

// serve is the stream's goroutine.
func (s *Stream) serve(workers int, started chan<- error) {
	defer close(s.ended)
	err := s.hire(workers)
	if !s.computes {
		team.Prompt()
	}
	if s.team != nil {
		defer s.team.Close()
		s.product = gemm.NewContext(s.team)
	}
	started <- err
	var batch []entry
	for s.next(&batch) {
		for i, e := range batch {
			s.execute(e)
			batch[i] = entry{}
			s.length.Add(-1)
		}
	}
}

// hire binds the goroutine to a thread and starts the team, on the device's cores where it names some: the thread is bound to the
// first of them, or, without the team, to the last. The goroutine ends with its thread.
func (s *Stream) hire(workers int) error {
	cores := s.dev.cores
	switch {
	case len(cores) == 0:
		runtime.LockOSThread()
		s.team = team.NewUnpinned(workers)
	case workers < len(cores):
		s.team = team.NewUnpinned(workers)
		return team.Pin(cores[len(cores)-1])
	default:
		if err := team.Pin(cores[0]); err != nil {
			return err
		}
		s.team = team.New(cores)
	}
	return s.team.PinErr()
}

// patience is how often the goroutine looks for a command before it sleeps: some microseconds, less than a wake-up costs.
const patience = 5000

// next swaps the filled half of the queue for the one that was worked off. It returns false when the stream is closed.
func (s *Stream) next(batch *[]entry) bool {
	s.idle()
	for i := 0; i < patience && s.length.Load() == 0; i++ {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 {
		if s.closed {
			return false
		}
		s.filled.Wait()
	}
	*batch, s.pending = s.pending, (*batch)[:0]
	return true
}

// idle wakes those who wait for the queue to be empty, if it is.
func (s *Stream) idle() {
	if s.length.Load() == 0 {
		s.mu.Lock()
		s.drained.Broadcast()
		s.mu.Unlock()
	}
}

// execute runs a command; a panic becomes the stream's error.
func (s *Stream) execute(e entry) {
	defer func() {
		if v := recover(); v != nil {
			s.fail(describe(e.cmd, v))
		}
		e.home.recycle(e.cmd)
	}()
	if s.note != nil {
		begin := time.Now()
		defer func() { s.note(begin, time.Now()) }()
	}
	if !s.failed || e.always {
		s.work.begin(e.cmd)
		defer s.work.end()
		e.cmd.run(s)
	}
}

// Observe tells note of every later command; see kernels.TimedStream.
func (s *Stream) Observe(note func(begin, end time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = note
}

func (s *Stream) fail(err error) {
	s.failed = true
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
}

// describe names the operator that panicked. A failure that the runtime found is a bug, and says where.
func describe(c command, v any) error {
	op := nameOf(c)
	stack := debug.Stack()
	if p, ok := v.(*team.Panic); ok {
		v, stack = p.Value, p.Stack
	}
	switch v := v.(type) {
	case runtime.Error:
		return fmt.Errorf("cpu: %s: %w\n%s", op, v, stack)
	case error:
		return fmt.Errorf("cpu: %s: %w", op, v)
	}
	return fmt.Errorf("cpu: %s: %v", op, v)
}

// put adds a command to the queue.
func (s *Stream) put(e entry) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		panic("cpu: use of a closed stream")
	}
	s.pending = append(s.pending, e)
	s.length.Add(1)
	s.mu.Unlock()
	s.filled.Signal()
}

// Sync returns when the stream is idle, with the first error since the last Sync.
func (s *Stream) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.drain()
	s.err, s.failed = nil, false
	return err
}

// drain waits until the stream is idle and returns its pending error. s.mu is held.
func (s *Stream) drain() error {
	for s.length.Load() != 0 {
		s.drained.Wait()
	}
	return s.err
}

// Close waits for what was enqueued, ends the threads and returns the first error since the last Sync.
func (s *Stream) Close() error {
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.filled.Signal()
	<-s.ended
	addProcessors(-len(s.arenas))
	s.dev.streams.Add(-1)
	if s.computes {
		computing.Add(-int64(len(s.arenas)))
		s.dev.owner = nil
	}
	return s.Sync()
}

type do struct{ f func() error }

// Do runs f in stream order, also after an error.
func (s *Stream) Do(f func() error) { enqueueAlways(s, &s.pools.do, do{f}) }

func (c *do) run(s *Stream) {
	if err := c.f(); err != nil {
		s.fail(err)
	}
}
