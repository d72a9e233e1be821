package peer

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// AllReduce: dst = Σ over ranks of src. Each rank sums its part, then takes the others'. With dst in src's place no one reads what another has
// overwritten: between the first two meetings part r of every buffer is read, and written, only for rank r.
func (c *communicator) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) {
		panic("peer: all-reduce into a tensor of another type or size")
	}
	c.exchange(s, offer{op: comm.AllReduce, dst: dst, src: src}, func(s kernels.PeerStream, o offer, all []offer) bool {
		lo, hi := c.part(c.rank, src.Size())
		c.sum(s, dst.At(lo, hi-lo), all, lo)
		all, ok := c.meet(s, o)
		for r := range all {
			if lo, hi := c.part(r, src.Size()); r != c.rank && lo < hi {
				s.CopyFrom(dst.At(lo, hi-lo), all[r].dst.At(lo, hi-lo))
			}
		}
		return ok
	})
}

// ReduceScatter: dst = part Rank() of Σ over ranks of src.
func (c *communicator) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || src.Size() != dst.Size()*c.Size() {
		panic("peer: reduce-scatter needs src of Size() times dst")
	}
	c.exchange(s, offer{op: comm.ReduceScatter, dst: dst, src: src}, func(s kernels.PeerStream, _ offer, all []offer) bool {
		c.sum(s, dst, all, c.rank*dst.Size())
		return true
	})
}

// AllGather: part r of dst = src of rank r.
func (c *communicator) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || dst.Size() != src.Size()*c.Size() {
		panic("peer: all-gather needs dst of Size() times src")
	}
	c.exchange(s, offer{op: comm.AllGather, dst: dst, src: src}, func(s kernels.PeerStream, _ offer, all []offer) bool {
		n := src.Size()
		for r := range all {
			copyFrom(s, dst.At(r*n, n), all[r].src.At(0, n))
		}
		return true
	})
}

// Broadcast: buf = buf of root.
func (c *communicator) Broadcast(s kernels.Stream, buf kernels.Tensor, root int) {
	c.checkPeer(root)
	c.exchange(s, offer{op: comm.Broadcast, dst: buf, root: root}, func(s kernels.PeerStream, _ offer, all []offer) bool {
		if c.rank != root {
			s.CopyFrom(buf, all[root].dst)
		}
		return true
	})
}

// AllToAll: part r of dst = part Rank() of rank r's src.
func (c *communicator) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) || src.Size()%c.Size() != 0 {
		panic("peer: all-to-all needs tensors of one size divisible by Size()")
	}
	c.exchange(s, offer{op: comm.AllToAll, dst: dst, src: src}, func(s kernels.PeerStream, _ offer, all []offer) bool {
		n := src.Size() / c.Size()
		for r := range all {
			s.CopyFrom(dst.At(r*n, n), all[r].src.At(c.rank*n, n))
		}
		return true
	})
}

// Barrier holds the stream until every rank's stream is there.
func (c *communicator) Barrier(s kernels.Stream) {
	if p := c.start(s, comm.Barrier, kernels.Tensor{}, kernels.Tensor{}); p != nil {
		c.meet(p, offer{op: comm.Barrier})
	}
}

// exchange runs a body between two meetings: after the first all ranks' operands are ready, before the second nobody goes on to change them.
func (c *communicator) exchange(s kernels.Stream, o offer, body func(s kernels.PeerStream, o offer, all []offer) bool) {
	p := c.start(s, o.op, o.dst, o.src)
	if p == nil {
		return
	}
	if all, ok := c.meet(p, o); ok && body(p, o, all) {
		c.meet(p, o)
	}
}

// line is the number of elements on which parts begin: 16 bytes of any type.
const line = 16

// part is the range of n elements that a rank sums.
func (c *communicator) part(rank, n int) (lo, hi int) {
	per := (n + c.Size() - 1) / c.Size()
	per = (per + line - 1) / line * line
	return min(n, rank*per), min(n, rank*per+per)
}

// scratchBytes bounds the memory that a sum takes for each rank's part.
const scratchBytes = 1 << 20

// sum is dst = Σ over ranks of their sources from an element on, piece by piece through scratch memory.
func (c *communicator) sum(s kernels.PeerStream, dst kernels.Tensor, all []offer, from int) {
	piece := min(dst.Size(), scratchBytes/dst.DType().Size())
	if piece == 0 || !c.reserve(s, dst.DType(), piece*c.Size()) {
		return
	}
	for lo := 0; lo < dst.Size(); lo += piece {
		n := min(piece, dst.Size()-lo)
		parts := kernels.Of(c.scratch[dst.DType()], c.Size(), n)
		for r := range all {
			s.CopyFrom(parts.At(r*n, n), all[r].src.At(from+lo, n))
		}
		s.SumParts(dst.At(lo, n), parts)
	}
}

// reserve makes the scratch memory of a type, of at least so many elements. What each step sums comes in the same sizes, so that later steps find it made.
func (c *communicator) reserve(s kernels.PeerStream, t kernels.DType, n int) bool {
	old := c.scratch[t]
	if old != nil && old.Len() >= n {
		return true
	}
	b, err := s.Device().Alloc(t, n)
	if err != nil {
		c.stop(s, fmt.Errorf("scratch of a sum: %w", err))
		return false
	}
	if old != nil {
		c.outgrown = append(c.outgrown, old)
	}
	c.scratch[t] = b
	return true
}

// copyFrom copies unless both are the same memory.
func copyFrom(s kernels.PeerStream, dst, src kernels.Tensor) {
	if dst.Buf != src.Buf || dst.Off != src.Off {
		s.CopyFrom(dst, src)
	}
}
