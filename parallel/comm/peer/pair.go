package peer

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// pair is the way from one rank to another: the sender offers its tensor with the mark that it is ready, the receiver enqueues the copy and replies with the
// mark that it has been made. Each has room for one, so that only waiting for the other side blocks.
type pair struct {
	offers  chan offer
	replies chan reply
}

type reply struct {
	taken kernels.Event
	err   error
}

func newPair() pair { return pair{make(chan offer, 1), make(chan reply, 1)} }

// transfer is one Send (dst is absent) or Recv.
type transfer struct {
	dst, src kernels.Tensor
	peer     int
}

// Send hands src to peer's Recv.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.transfer(s, transfer{src: src, peer: peer})
}

// Recv fills dst from peer's Send.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.transfer(s, transfer{dst: dst, peer: peer})
}

// Group makes one call of f's Sends and Recvs; see comm.Communicator.
func (c *communicator) Group(s kernels.Stream, f func()) {
	if c.grouping {
		panic("peer: a group within a group")
	}
	c.grouping = true
	defer func() { c.grouping, c.grouped = false, nil }()
	f()
	if p, ok := s.(kernels.PeerStream); ok {
		c.run(p, c.grouped)
	}
}

func (c *communicator) transfer(s kernels.Stream, t transfer) {
	c.checkPeer(t.peer)
	p := c.start(s, comm.SendRecv, t.dst, t.src)
	switch {
	case p == nil:
	case !c.grouping:
		c.run(p, []transfer{t})
	default:
		for _, other := range c.grouped {
			if other.peer == t.peer && other.dst.None() == t.dst.None() {
				panic("peer: a group has at most one Send and one Recv for a peer")
			}
		}
		c.grouped = append(c.grouped, t)
	}
}

// run offers everything before it waits for anything.
func (c *communicator) run(s kernels.PeerStream, ts []transfer) {
	for _, step := range []struct {
		sends bool
		do    func(kernels.PeerStream, transfer) error
	}{{true, c.offer}, {false, c.recv}, {true, c.sent}} {
		for _, t := range ts {
			if t.dst.None() != step.sends {
				continue
			}
			if err := step.do(s, t); err != nil {
				c.stop(s, err)
				return
			}
		}
	}
}

// offer shows the peer what is sent.
func (c *communicator) offer(s kernels.PeerStream, t transfer) error {
	ready, err := c.mark(s, &c.ready[t.peer])
	if err != nil {
		return err
	}
	select {
	case c.g.pairs[c.rank*c.Size()+t.peer].offers <- offer{src: t.src, arrived: ready}:
		return nil
	case <-c.g.fault.Done():
		return c.g.fault.Get()
	}
}

// sent holds the stream until the peer's copy has been made.
func (c *communicator) sent(s kernels.PeerStream, t transfer) error {
	select {
	case r := <-c.g.pairs[c.rank*c.Size()+t.peer].replies:
		if r.err == nil {
			s.Wait(r.taken)
		}
		return r.err
	case <-c.g.fault.Done():
		return c.g.fault.Get()
	}
}

// recv copies what the peer offers, once that is ready.
func (c *communicator) recv(s kernels.PeerStream, t transfer) error {
	way := &c.g.pairs[t.peer*c.Size()+c.rank]
	var o offer
	select {
	case o = <-way.offers:
	case <-c.g.fault.Done():
		return c.g.fault.Get()
	}
	var r reply
	if sameSize(t.dst, o.src) {
		s.Wait(o.arrived)
		s.CopyFrom(t.dst, o.src)
		r.taken, r.err = c.mark(s, &c.taken[t.peer])
	} else {
		r.err = fmt.Errorf("peer: rank %d sends %d %v, rank %d expects %d %v",
			c.g.world[t.peer], o.src.Size(), o.src.DType(), c.g.world[c.rank], t.dst.Size(), t.dst.DType())
	}
	way.replies <- r // has room: the sender takes one before it offers again
	return r.err
}

func (c *communicator) checkPeer(r int) {
	if r < 0 || r >= c.Size() {
		panic("peer: no such rank in this communicator")
	}
}
