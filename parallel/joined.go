package parallel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Joined is a Launcher of ranks that are processes, started together by a launcher such as mpirun. All processes call Run alike; those outside of the
// strategy's world return at once.
type Joined struct {
	Processes comm.Processes
	// Open makes the device of this process's rank.
	Open func(rank, world int) (kernels.Device, error)
	// Wrap, unless nil, wraps the world's communicator.
	Wrap func(comm.Communicator) comm.Communicator
}

// Grace is how long a rank may take to come back when its world has ended.
const Grace = 3 * time.Second

// Run implements Launcher.
func (l Joined) Run(ctx context.Context, s Strategy, body func(ctx context.Context, r *Rank) error) error {
	s = s.Normal()
	mesh := s.Mesh()
	c, err := l.Processes.Connect(mesh.World())
	if err != nil {
		return cause(err)
	}
	if c == nil {
		return nil
	}
	r := &Rank{ID: c.Rank(), World: c.Size(), Coord: mesh.Coord(c.Rank()), Strategy: s, All: c}
	if l.Wrap != nil {
		r.All = l.Wrap(c)
	}
	stop := context.AfterFunc(ctx, func() { c.Abort(context.Cause(ctx)) })
	defer stop()
	defer l.end(c)()

	w := newEnding(r.World, 1)
	w.run(ctx, InProcess{Open: l.Open}, r, func(ctx context.Context, r *Rank) error {
		if err := body(ctx, r); err != nil {
			return err
		}
		r.All.Barrier(r.Compute) // so that a rank that fails fails all
		return r.Compute.Sync()
	})
	if err := w.result(); err != nil {
		return cause(err)
	}
	return l.Processes.Release()
}

// end watches over a rank until the function that it returns is called: one that does not come back from a world that has ended, since nothing that it does there
// can be cut short, ends the job.
func (l Joined) end(c comm.Communicator) func() {
	left := make(chan struct{})
	go func() {
		tick := time.NewTicker(Grace / 10)
		defer tick.Stop()
		var since time.Time
		for {
			select {
			case <-left:
				return
			case <-tick.C:
			}
			err := aborted(c)
			switch {
			case err == nil:
			case since.IsZero():
				since = time.Now()
			case time.Since(since) > Grace:
				fmt.Fprintln(os.Stderr, "ofpeak:", cause(err))
				l.Processes.Die(1)
			}
		}
	}()
	return func() { close(left) }
}

// aborted is why a communicator's world has ended, or nil.
func aborted(c comm.Communicator) error {
	if e, ok := comm.As[interface{ Err() error }](c); ok {
		return e.Err()
	}
	return nil
}

// cause is an abort's reason without the words that say that there was one.
func cause(err error) error {
	if !errors.Is(err, comm.ErrAborted) {
		return err
	}
	text := err.Error()
	if i := strings.LastIndex(text, comm.ErrAborted.Error()+": "); i >= 0 {
		first, _, _ := strings.Cut(text[i+len(comm.ErrAborted.Error())+2:], "\n")
		return errors.New(first)
	}
	return err
}
