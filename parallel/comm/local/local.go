// Package local connects ranks that are goroutines of one process, each with a device of host memory: the CPU's or the reference's.
//
// It has no rings and no trees, for memory is shared: in a reduction every rank sums its own part of all ranks' buffers, in rank order,
// so that the result has the same bits on every rank and in every run. It does not reach other processes.
package local

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/calls"
	"ofpeak/parallel/comm/rendezvous"
)

// Name is what rows call this package.
const Name = "shared-memory"

// New connects a world of ranks; communicator i belongs to rank i.
func New(ranks int) []comm.Communicator {
	if ranks < 1 {
		panic("local: a world needs at least one rank")
	}
	members := make([]int, ranks)
	for i := range members {
		members[i] = i
	}
	journals := make([]*comm.Journal, ranks)
	for i := range journals {
		journals[i] = &comm.Journal{}
	}
	return newGroup(rendezvous.NewFault(), journals, members).communicators()
}

// group is what the ranks of one communicator share.
type group struct {
	fault    *rendezvous.Fault
	journals []*comm.Journal // by world rank
	world    []int           // world rank of each member, for messages
	stream   rendezvous.Barrier
	host     rendezvous.Barrier
	brings   []operands       // per rank: its operands of the collective in progress
	pairs    []pair           // from·size+to
	asks     []rendezvous.Ask // per rank: its operands of the Split in progress
	splits   []*communicator  // per rank: the result
}

// operands are what a rank brings to a collective.
type operands struct {
	op       comm.Op
	dst, src kernels.Tensor
	root     int
}

// String is the call as an error shows it.
func (o operands) String() string {
	return (&calls.Call{Op: o.op, Dst: o.dst, Src: o.src}).String()
}

// communicator is one rank's end of a group.
type communicator struct {
	calls.Front
	g *group

	parts  []kernels.Tensor // scratch of a reduction: every rank's share
	shapes [][1]int         // their shapes
}

func newGroup(f *rendezvous.Fault, journals []*comm.Journal, world []int) *group {
	n := len(world)
	g := &group{
		fault: f, journals: journals, world: world, stream: rendezvous.NewBarrier(n), host: rendezvous.NewBarrier(n),
		brings: make([]operands, n), pairs: make([]pair, n*n), asks: make([]rendezvous.Ask, n), splits: make([]*communicator, n),
	}
	for i := range g.pairs {
		g.pairs[i] = newPair()
	}
	return g
}

func (g *group) communicators() []comm.Communicator {
	cs := make([]comm.Communicator, len(g.world))
	for r := range cs {
		cs[r] = g.member(r)
	}
	return cs
}

func (g *group) member(rank int) *communicator {
	n := len(g.world)
	c := &communicator{g: g, parts: make([]kernels.Tensor, n), shapes: make([][1]int, n+1)}
	c.Front = calls.New(rank, n, c, g.journals[g.world[rank]])
	return c
}

// Err is why the world was aborted, or nil.
func (c *communicator) Err() error { return c.g.fault.Get() }

// Abort makes every communicator of this world fail with err. The first call decides the error.
func (c *communicator) Abort(err error) { c.g.fault.Set(err) }

// Split groups the ranks by color; see comm.Communicator.
func (c *communicator) Split(color, key int) (comm.Communicator, error) {
	g := c.g
	if err := g.fault.Get(); err != nil {
		return nil, err
	}
	journal := c.Journal()
	defer journal.End(journal.Begin(comm.Action{Op: comm.Barrier, Ranks: c.Size()}))
	g.asks[c.Rank()] = rendezvous.Ask{Rank: c.Rank(), Color: color, Key: key}
	if !g.host.Wait(c.Rank(), g.fault.Done()) {
		return nil, g.fault.Get()
	}
	if c.Rank() == 0 {
		g.split()
	}
	if !g.host.Wait(c.Rank(), g.fault.Done()) {
		return nil, g.fault.Get()
	}
	if color < 0 {
		return nil, nil
	}
	return g.splits[c.Rank()], nil
}

// split fills g.splits from g.asks.
func (g *group) split() {
	for _, ranks := range rendezvous.Groups(g.asks) {
		world := make([]int, len(ranks))
		for i, r := range ranks {
			world[i] = g.world[r]
		}
		child := newGroup(g.fault, g.journals, world)
		for i, r := range ranks {
			g.splits[r] = child.member(i)
		}
	}
}

// mismatch is nil, or says which rank made another call than rank 0.
func (g *group) mismatch() error {
	first := &g.brings[0]
	for r := range g.brings {
		k := &g.brings[r]
		if k.op != first.op || k.root != first.root || !calls.SameSize(k.dst, first.dst) || !calls.SameSize(k.src, first.src) {
			return fmt.Errorf("local: rank %d calls %v while rank %d calls %v: all ranks must make the same calls in the same order",
				g.world[r], k, g.world[0], first)
		}
	}
	return nil
}
