package parallel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Launcher runs a body as every rank of a strategy's world.
type Launcher interface {
	// Run returns when all ranks have ended, with the first failure. A rank that returns an error or panics aborts the world, and so
	// does the end of ctx: every other rank's communication then fails with an error that names the one that failed.
	Run(ctx context.Context, s Strategy, body func(ctx context.Context, r *Rank) error) error
}

// InProcess is a Launcher of one goroutine per rank.
type InProcess struct {
	// Open makes the device of a rank.
	Open func(rank, world int) (kernels.Device, error)
	// Connect makes the communicators of a world, such as local.New.
	Connect func(world int) []comm.Communicator
}

// Run implements Launcher.
func (l InProcess) Run(ctx context.Context, s Strategy, body func(ctx context.Context, r *Rank) error) error {
	s = s.Normal()
	mesh := s.Mesh()
	world := mesh.World()
	comms := l.Connect(world)
	stop := context.AfterFunc(ctx, func() { comms[0].Abort(context.Cause(ctx)) })
	defer stop()

	w := &ending{errs: make([]error, world)}
	var ranks sync.WaitGroup
	w.working.Add(world)
	for id := range world {
		r := &Rank{ID: id, World: world, Coord: mesh.Coord(id), Strategy: s, All: comms[id]}
		ranks.Go(func() { w.run(ctx, l, r, body) })
	}
	ranks.Wait()
	return w.result()
}

// ending gathers how the ranks of one Run end.
type ending struct {
	working sync.WaitGroup // ranks whose streams may still run
	mu      sync.Mutex
	first   error
	errs    []error
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
	w.working.Done()
	w.working.Wait() // other ranks' streams may read this rank's memory
	if err := guard(r.close); err != nil {
		w.fail(r, err)
	}
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

// result prefers the cause to what it caused in other ranks.
func (w *ending) result() error {
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

// apart runs f on a goroutine of its own, so that an f that ends its goroutine (as testing's FailNow does) cannot end the rank's.
func apart(f func() error) error {
	end := make(chan error, 1)
	go func() {
		defer close(end)
		end <- guard(f)
	}()
	if err, ended := <-end; ended {
		return err
	}
	return errors.New("the body ended its goroutine")
}

// guard turns a panic into an error with its stack.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
