package local

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm/calls"
)

// pair is the way from one rank to another: the sender offers its tensor, the receiver copies it and says so. Each has room for one, so that only
// waiting for the other side blocks.
type pair struct {
	offer chan kernels.Tensor
	taken chan error
}

func newPair() pair {
	return pair{offer: make(chan kernels.Tensor, 1), taken: make(chan error, 1)}
}

// sendRecv does a Send, a Recv or a group of them: all is offered before anything is waited for.
func (c *communicator) sendRecv(parts []calls.Call) error {
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
