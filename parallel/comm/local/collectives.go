package local

import (
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/calls"
)

// Run carries out a call; see calls.Engine.
func (c *communicator) Run(k *calls.Call) error {
	if k.Op == comm.SendRecv {
		return c.sendRecv(k.Part)
	}
	if err := c.meet(k); err != nil {
		return err
	}
	switch k.Op {
	case comm.AllReduce:
		c.allReduce(k)
	case comm.ReduceScatter:
		c.sum(k, k.Dst, 0, c.Rank()*k.Dst.Size(), k.Dst.Size())
	case comm.AllGather:
		c.allGather(k)
	case comm.Broadcast:
		if c.Rank() != k.Peer {
			move(k.Dst, 0, c.g.brings[k.Peer].dst, 0, k.Dst.Size())
		}
	case comm.AllToAll:
		c.allToAll(k)
	}
	return c.sync(k.Stream)
}

// allReduce sums this rank's part over all ranks and hands it to them. With dst in src's place no one reads what another has overwritten: part r
// of every buffer is read, and written, only by rank r.
func (c *communicator) allReduce(k *calls.Call) {
	lo, hi := c.part(c.Rank(), k.Src.Size())
	for ; lo < hi; lo += block {
		n := min(block, hi-lo)
		c.sum(k, k.Dst, lo, lo, n)
		for r := range c.g.brings {
			if r != c.Rank() {
				move(c.g.brings[r].dst, lo, k.Dst, lo, n)
			}
		}
	}
}

func (c *communicator) allGather(k *calls.Call) {
	n := k.Src.Size()
	for r := range c.g.brings {
		move(k.Dst, r*n, c.g.brings[r].src, 0, n)
	}
}

func (c *communicator) allToAll(k *calls.Call) {
	n := k.Src.Size() / c.Size()
	for r := range c.g.brings {
		move(k.Dst, r*n, c.g.brings[r].src, c.Rank()*n, n)
	}
}

// meet waits for all ranks and shows each the others' operands. Before the next call a sync must follow, for until then others read them.
func (c *communicator) meet(k *calls.Call) error {
	c.g.brings[c.Rank()] = operands{k.Op, k.Dst, k.Src, k.Peer}
	if err := c.sync(k.Stream); err != nil {
		return err
	}
	return c.g.mismatch()
}

// sync waits for all ranks' streams.
func (c *communicator) sync(s kernels.Stream) error {
	var patience time.Duration
	if p, ok := s.(kernels.PatientStream); ok {
		patience = p.Patience()
	}
	if !c.g.stream.WaitPatiently(c.Rank(), c.g.fault.Done(), patience) {
		return c.g.fault.Get()
	}
	return nil
}
