package parallel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

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
	// Stall is how long others may wait for a rank that does nothing (see comm.Watch), and how long a rank may take to come back when another one has failed;
	// 0: for ever.
	Stall time.Duration
}

// Run implements Launcher. A rank that does not come back from a world that has ended is left behind, with all that the world's ranks hold.
func (l InProcess) Run(ctx context.Context, s Strategy, body func(ctx context.Context, r *Rank) error) error {
	s = s.Normal()
	mesh := s.Mesh()
	world := mesh.World()
	comms := l.Connect(world)
	all := comms[0]
	stop := context.AfterFunc(ctx, func() { all.Abort(context.Cause(ctx)) })
	defer stop()

	w := newEnding(world, world)
	defer w.watch(comms, l.Stall)()
	for id := range world {
		r := &Rank{ID: id, World: world, Coord: mesh.Coord(id), Strategy: s, All: comms[id]}
		go w.run(ctx, l, r, body)
	}
	return w.wait(ctx, all, l.Stall)
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
