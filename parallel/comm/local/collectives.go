package local

import (
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// AllReduce: dst = Σ over ranks of src.
func (c *communicator) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) {
		panic("local: all-reduce into a tensor of another type or size")
	}
	c.enqueue(s, comm.AllReduce, dst, src, 0, (*communicator).allReduce)
}

// allReduce sums this rank's part over all ranks and hands it to them. With dst in src's place no one reads what another has overwritten: part r
// of every buffer is read, and written, only by rank r.
func (c *communicator) allReduce(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	lo, hi := c.part(c.rank, k.src.Size())
	for ; lo < hi; lo += block {
		n := min(block, hi-lo)
		c.sum(k, k.dst, lo, lo, n)
		for r := range c.g.brings {
			if r != c.rank {
				move(c.g.brings[r].dst, lo, k.dst, lo, n)
			}
		}
	}
	return c.sync(k)
}

// ReduceScatter: dst = part Rank() of Σ over ranks of src.
func (c *communicator) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || src.Size() != dst.Size()*c.Size() {
		panic("local: reduce-scatter needs src of Size() times dst")
	}
	c.enqueue(s, comm.ReduceScatter, dst, src, 0, (*communicator).reduceScatter)
}

func (c *communicator) reduceScatter(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	n := k.dst.Size()
	c.sum(k, k.dst, 0, c.rank*n, n)
	return c.sync(k)
}

// AllGather: part r of dst = src of rank r.
func (c *communicator) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || dst.Size() != src.Size()*c.Size() {
		panic("local: all-gather needs dst of Size() times src")
	}
	c.enqueue(s, comm.AllGather, dst, src, 0, (*communicator).allGather)
}

func (c *communicator) allGather(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	n := k.src.Size()
	for r := range c.g.brings {
		move(k.dst, r*n, c.g.brings[r].src, 0, n)
	}
	return c.sync(k)
}

// Broadcast: buf = buf of root.
func (c *communicator) Broadcast(s kernels.Stream, buf kernels.Tensor, root int) {
	c.checkPeer(root)
	c.enqueue(s, comm.Broadcast, buf, kernels.Tensor{}, root, (*communicator).broadcast)
}

func (c *communicator) broadcast(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	if c.rank != k.root {
		move(k.dst, 0, c.g.brings[k.root].dst, 0, k.dst.Size())
	}
	return c.sync(k)
}

// AllToAll: part r of dst = part Rank() of rank r's src.
func (c *communicator) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) || src.Size()%c.Size() != 0 {
		panic("local: all-to-all needs tensors of one size divisible by Size()")
	}
	c.enqueue(s, comm.AllToAll, dst, src, 0, (*communicator).allToAll)
}

func (c *communicator) allToAll(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	n := k.src.Size() / c.Size()
	for r := range c.g.brings {
		move(k.dst, r*n, c.g.brings[r].src, c.rank*n, n)
	}
	return c.sync(k)
}

// Barrier holds the stream until every rank's stream is there.
func (c *communicator) Barrier(s kernels.Stream) {
	c.enqueue(s, comm.Barrier, kernels.Tensor{}, kernels.Tensor{}, 0, (*communicator).barrier)
}

func (c *communicator) barrier(k *call) error {
	if err := c.meet(k); err != nil {
		return err
	}
	return c.sync(k)
}

func (c *communicator) checkPeer(r int) {
	if r < 0 || r >= c.Size() {
		panic("local: no such rank in this communicator")
	}
}

// meet waits for all ranks and shows each the others' operands. Before the next call a sync must follow, for until then others read them.
func (c *communicator) meet(k *call) error {
	c.g.brings[c.rank] = *k
	if err := c.sync(k); err != nil {
		return err
	}
	return c.g.mismatch()
}

// sync waits for all ranks' streams.
func (c *communicator) sync(k *call) error {
	var patience time.Duration
	if s, ok := k.stream.(kernels.PatientStream); ok {
		patience = s.Patience()
	}
	if !c.g.stream.WaitPatiently(c.rank, c.g.fault.Done(), patience) {
		return c.g.fault.Get()
	}
	return nil
}
