package nccl

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/rendezvous"
)

// group is what the ranks of this process share of a communicator: where they meet, so that one of them can make the library's call for all.
type group struct {
	w     *world
	ranks []int // of the world, by place, for messages
	host  rendezvous.Barrier
	seats []driver.Seat
	parts []driver.Part
	asks  []rendezvous.Ask
	made  []driver.Group
	ends  []*communicator
	err   error
}

func newGroup(w *world, ranks []int) *group {
	n := len(ranks)
	return &group{w: w, ranks: ranks, host: rendezvous.NewBarrier(n), seats: make([]driver.Seat, n), parts: make([]driver.Part, n), asks: make([]rendezvous.Ask, n)}
}

// together has the first of the group's ranks do something once all have come, and lets all go when it is done.
func (g *group) together(place int, do func() error) error {
	if !g.host.Wait(place, g.w.fault.Done()) {
		return g.w.fault.Get()
	}
	if place == 0 {
		g.err = do()
	}
	if !g.host.Wait(place, g.w.fault.Done()) {
		return g.w.fault.Get()
	}
	return g.err
}

// communicator is one rank's end of a group.
type communicator struct {
	g          *group
	place      int // among the ranks of this process
	rank, size int
	own        driver.Group // nil: the rank is alone, or not bound
	apart      bool         // the other ranks are other processes
	closed     bool
	counts     comm.Counts

	one      kernels.Buffer // what a Barrier sums
	grouping bool           // within a Group, whose calls are grouped
	grouped  []driver.Collective
}

// Rank is this end's place in the group.
func (c *communicator) Rank() int { return c.rank }

// Size is the number of ranks.
func (c *communicator) Size() int { return c.size }

// Counts is what this rank's calls have moved so far.
func (c *communicator) Counts() comm.Counts { return c.counts }

// Err is why the world was aborted, or nil.
func (c *communicator) Err() error { return c.g.w.err() }

// Abort makes every communicator of this world fail with err, and ends what the devices do for them. The first call decides the error.
func (c *communicator) Abort(err error) { c.g.w.abort(err) }

// Bind joins the library's group of all ranks.
func (c *communicator) Bind(s kernels.Stream) error {
	if c.size == 1 {
		return nil
	}
	g := c.g
	ctx, _ := below(s).Below()
	g.seats[c.place] = driver.Seat{Rank: c.rank, Context: ctx}
	err := g.together(c.place, func() error {
		name, err := g.w.name()
		if err != nil {
			return fmt.Errorf("nccl: a name for %d ranks: %w", c.size, err)
		}
		if g.made, err = g.w.library.Join(name, c.size, g.seats); err != nil {
			return fmt.Errorf("nccl: joining %d ranks: %w", c.size, err)
		}
		g.w.add(g.made)
		return nil
	})
	if err == nil {
		c.own = g.made[c.place]
	}
	return err
}

// Capture makes a graph of each rank's own; see comm.Capturer. The library ties them when they are launched.
func (c *communicator) Capture(s kernels.Stream, f func()) (kernels.Graph, error) {
	g, ok := s.(kernels.GraphStream)
	if !ok {
		return nil, fmt.Errorf("%w: the device has no graphs", kernels.ErrUnsupported)
	}
	return g.Capture(f)
}

func below(s kernels.Stream) stream {
	p, ok := s.(stream)
	if !ok {
		panic("nccl: the stream's device is no GPU")
	}
	return p
}

// Split groups the ranks by color; see comm.Communicator.
func (c *communicator) Split(color, key int) (comm.Communicator, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	if c.apart && c.size > 1 {
		return c.splitApart(color, key)
	}
	g := c.g
	g.asks[c.place] = rendezvous.Ask{Rank: c.place, Color: color, Key: key}
	g.parts[c.place] = driver.Part{Group: c.own, Color: color, Key: key}
	if err := g.together(c.place, g.split); err != nil {
		return nil, err
	}
	if end := g.ends[c.place]; end != nil {
		return end, nil
	}
	return nil, nil
}

// split makes the ends of the new groups, and has the library make those of several ranks.
func (g *group) split() error {
	g.ends = make([]*communicator, len(g.ranks))
	several := false
	for _, members := range rendezvous.Groups(g.asks) {
		child := newGroup(g.w, make([]int, len(members)))
		for rank, place := range members {
			child.ranks[rank], g.ends[place] = g.ranks[place], &communicator{g: child, place: rank, rank: rank, size: len(members)}
			if len(members) == 1 {
				g.parts[place].Color = -1
			}
		}
		several = several || len(members) > 1
	}
	if !several {
		return nil
	}
	made, err := g.w.library.Split(g.parts)
	if err != nil {
		return fmt.Errorf("nccl: splitting %d ranks: %w", len(g.ranks), err)
	}
	g.w.add(made)
	for place, end := range g.ends {
		if end != nil {
			end.own = made[place]
		}
	}
	return nil
}

// splitApart is Split where each process has one rank, and the library alone knows the others. A rank that turns out to be alone needs no group.
func (c *communicator) splitApart(color, key int) (comm.Communicator, error) {
	made, err := c.g.w.library.Split([]driver.Part{{Group: c.own, Color: color, Key: key}})
	if err != nil {
		return nil, fmt.Errorf("nccl: splitting %d ranks: %w", c.size, err)
	}
	own := made[0]
	if own == nil {
		return nil, nil
	}
	end := &communicator{g: newGroup(c.g.w, c.g.ranks), rank: own.Rank(), size: own.Size(), own: own, apart: true}
	c.g.w.add(made)
	if end.size == 1 {
		end.own = nil
		return end, c.g.w.drop(own)
	}
	return end, nil
}

// Close releases the group and what a Barrier sums. The streams of all ranks are idle; later calls of this end fail.
func (c *communicator) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	var errs []error
	if c.one != nil {
		c.one.Free()
	}
	if c.own != nil {
		errs = append(errs, c.g.w.drop(c.own))
	}
	return errors.Join(errs...)
}
