package local

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm/calls"
)

<<<<<<< HEAD
// sendRecv does a Send, a Recv or a group of them: all is offered before anything is waited for.
func (c *communicator) sendRecv(parts []calls.Call) error {
=======
// pair is the way from one rank to another: the sender offers its tensor, the receiver copies it and says so. Each has room for one, so that only
// waiting for the other side blocks.
type pair struct {
	offer chan kernels.Tensor
	taken chan error
}

func newPair() pair {
	return pair{offer: make(chan kernels.Tensor, 1), taken: make(chan error, 1)}
}

// Send hands src to peer's Recv.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.checkPeer(peer)
	c.enqueue(s, comm.SendRecv, kernels.Tensor{}, src, peer, (*communicator).send)
}

// Recv fills dst from peer's Send.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.checkPeer(peer)
	c.enqueue(s, comm.SendRecv, dst, kernels.Tensor{}, peer, (*communicator).recv)
}

// Group makes one call of f's Sends and Recvs; see comm.Communicator.
func (c *communicator) Group(s kernels.Stream, f func()) {
	h, ok := s.(kernels.HostStream)
	if !ok {
		panic("local: the stream's device has no host memory")
	}
	if c.group != nil {
		panic("local: a group within a group")
	}
	k := c.take()
	k.op, k.stream, k.body = comm.SendRecv, h, (*communicator).exchange
	c.group = k
	defer func() { c.group = nil }()
	f()
	h.Do(k.run)
}

// gather adds a call to a group.
func (k *call) gather(part call) {
	if part.op != comm.SendRecv {
		panic("local: only Send and Recv go in a group")
	}
	for i := range k.part {
		if k.part[i].root == part.root && k.part[i].src.None() == part.src.None() {
			panic("local: a group has at most one Send and one Recv for a peer")
		}
	}
	k.part = append(k.part, part)
}

func (c *communicator) send(k *call) error {
	if err := c.offer(k); err != nil {
		return err
	}
	return c.sent(k)
}

// exchange offers everything before it waits for anything.
func (c *communicator) exchange(k *call) error {
>>>>>>> main
	for _, step := range []struct {
		sends bool
		do    func(*communicator, *calls.Call) error
	}{{true, (*communicator).offer}, {false, (*communicator).recv}, {true, (*communicator).sent}} {
		for i := range parts {
			if parts[i].Dst.None() != step.sends {
				continue
			}
			if err := step.do(c, &parts[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// offer shows the peer what is sent.
func (c *communicator) offer(k *calls.Call) error {
	f := c.g.fault
	select {
	case c.g.pairs[c.Rank()*c.Size()+k.Peer].offer <- k.Src:
		return nil
	case <-f.Done():
		return f.Get()
	}
}

// sent waits until the peer has it.
func (c *communicator) sent(k *calls.Call) error {
	f := c.g.fault
	select {
	case err := <-c.g.pairs[c.Rank()*c.Size()+k.Peer].taken:
		return err
	case <-f.Done():
		return f.Get()
	}
}

func (c *communicator) recv(k *calls.Call) error {
	f, p := c.g.fault, &c.g.pairs[k.Peer*c.Size()+c.Rank()]
	var src kernels.Tensor
	select {
	case src = <-p.offer:
	case <-f.Done():
		return f.Get()
	}
	var err error
	if calls.SameSize(k.Dst, src) {
		move(k.Dst, 0, src, 0, src.Size())
	} else {
		err = fmt.Errorf("local: rank %d sends %d %v, rank %d expects %d %v",
			c.g.world[k.Peer], src.Size(), src.DType(), c.g.world[c.Rank()], k.Dst.Size(), k.Dst.DType())
	}
	p.taken <- err // has room: the sender takes one before it offers again
	return err
}
