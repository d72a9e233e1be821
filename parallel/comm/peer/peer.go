// Package peer connects ranks that are goroutines of one process, each with a device of its own whose memory the others copy from: GPUs, real or simulated.
//
// It stands in for NCCL where that is not. A collective is copies between devices and a kernel that sums, enqueued on the ranks' streams and ordered by
// events; no rank waits for its device. A rank does wait until the others have made the same call, for an event must be recorded before it can be waited
// for. Sums are in rank order, so that every rank has the same bits. It has no rings, no trees and no chunks in flight, and copies each part by itself: what
// it reaches says nothing of what the links can do. It does not reach other processes.
package peer

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/rendezvous"
)

// Name is what rows call this package.
const Name = "peer-copies"

var errClosed = errors.New("peer: use of a closed communicator")

// New connects a world of ranks; communicator i belongs to rank i. Their streams must be kernels.PeerStreams of one driver.
func New(ranks int) []comm.Communicator {
	if ranks < 1 {
		panic("peer: a world needs at least one rank")
	}
	g := newGroup(rendezvous.NewFault(), make([]int, ranks))
	cs := make([]comm.Communicator, ranks)
	for r := range cs {
		g.world[r], cs[r] = r, g.member(r)
	}
	return cs
}

// group is what the ranks of one communicator share.
type group struct {
	fault  *rendezvous.Fault
	world  []int // world rank of each member, for messages
	host   rendezvous.Barrier
	offers [2][]offer // by the parity of the meeting, per rank
	pairs  []pair     // from·size+to
	asks   []rendezvous.Ask
	splits []*communicator

	// Of a capture:
	fork       kernels.Event   // from rank 0's stream
	joins      []kernels.Event // to it, by rank
	graph      kernels.Graph
	over       <-chan struct{} // closed when it has ended
	captureErr error
}

// communicator is one rank's end of a group.
type communicator struct {
	g      *group
	rank   int
	closed bool
	counts comm.Counts

	meetings int
	arrived  [2]kernels.Event                 // by the parity of the meeting
	ready    []kernels.Event                  // by peer: marks of what is sent to it
	taken    []kernels.Event                  // by peer: marks of what was copied from it
	edge     kernels.Event                    // of a capture
	scratch  map[kernels.DType]kernels.Buffer // of sums
	outgrown []kernels.Buffer                 // scratch that graphs may still use
	grouping bool                             // within a Group, whose transfers are grouped
	grouped  []transfer
}

func newGroup(f *rendezvous.Fault, world []int) *group {
	n := len(world)
	g := &group{fault: f, world: world, host: rendezvous.NewBarrier(n), pairs: make([]pair, n*n), asks: make([]rendezvous.Ask, n), splits: make([]*communicator, n), joins: make([]kernels.Event, n)}
	g.offers = [2][]offer{make([]offer, n), make([]offer, n)}
	for i := range g.pairs {
		g.pairs[i] = newPair()
	}
	return g
}

func (g *group) member(rank int) *communicator {
	n := len(g.world)
	return &communicator{g: g, rank: rank, ready: make([]kernels.Event, n), taken: make([]kernels.Event, n), scratch: map[kernels.DType]kernels.Buffer{}}
}

// Rank is this end's place in the group.
func (c *communicator) Rank() int { return c.rank }

// Size is the number of ranks.
func (c *communicator) Size() int { return len(c.g.world) }

// Bind has nothing to tell: a call's stream says what device it is on.
func (c *communicator) Bind(kernels.Stream) error { return nil }

// Counts is what this rank's calls have moved so far.
func (c *communicator) Counts() comm.Counts { return c.counts }

// Err is why the world was aborted, or nil.
func (c *communicator) Err() error { return c.g.fault.Get() }

// Abort makes every communicator of this world fail with err. The first call decides the error.
func (c *communicator) Abort(err error) { c.g.fault.Set(err) }

// Close frees the events and the scratch. The streams of all ranks are idle; later calls of this end fail.
func (c *communicator) Close() error {
	c.closed = true
	var errs []error
	for _, e := range slices.Concat(c.ready, c.taken, c.arrived[:], []kernels.Event{c.edge}) {
		if e != nil {
			errs = append(errs, e.Close())
		}
	}
	for _, b := range slices.AppendSeq(c.outgrown, maps.Values(c.scratch)) {
		b.Free()
	}
	c.ready, c.taken, c.arrived, c.edge, c.scratch, c.outgrown = nil, nil, [2]kernels.Event{}, nil, nil, nil
	return errors.Join(errs...)
}

// Split groups the ranks by color; see comm.Communicator.
func (c *communicator) Split(color, key int) (comm.Communicator, error) {
	g := c.g
	if err := g.fault.Get(); err != nil {
		return nil, err
	}
	g.asks[c.rank] = rendezvous.Ask{Rank: c.rank, Color: color, Key: key}
	if !g.host.Wait(c.rank, g.fault.Done()) {
		return nil, g.fault.Get()
	}
	if c.rank == 0 {
		g.split()
	}
	if !g.host.Wait(c.rank, g.fault.Done()) {
		return nil, g.fault.Get()
	}
	if color < 0 {
		return nil, nil
	}
	return g.splits[c.rank], nil
}

// split fills g.splits from g.asks.
func (g *group) split() {
	for _, ranks := range rendezvous.Groups(g.asks) {
		child := newGroup(g.fault, make([]int, len(ranks)))
		for i, r := range ranks {
			child.world[i], g.splits[r] = g.world[r], child.member(i)
		}
	}
}

// start checks and counts a call, and gives its stream; nil if the call cannot be made, which the stream then says.
func (c *communicator) start(s kernels.Stream, op comm.Op, dst, src kernels.Tensor) kernels.PeerStream {
	p, ok := s.(kernels.PeerStream)
	if !ok {
		panic("peer: the stream's device gives no copies to others")
	}
	c.counts.Add(op, max(bytes(dst), bytes(src)))
	err := c.g.fault.Get()
	if err == nil && c.closed {
		err = errClosed
	}
	if err == nil {
		err = p.Err()
	}
	if err != nil {
		c.stop(p, err)
		return nil
	}
	return p
}

// stop fails the stream, and the world, which would wait for this rank.
func (c *communicator) stop(s kernels.PeerStream, err error) {
	c.Abort(fmt.Errorf("rank %d: %w", c.g.world[c.rank], err))
	s.Fail(err)
}

func bytes(t kernels.Tensor) int64 {
	if t.None() {
		return 0
	}
	return int64(t.Size()) * int64(t.DType().Size())
}
