package nccl

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
)

// AllReduce: dst = Σ over ranks of src.
func (c *communicator) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) {
		panic("nccl: all-reduce into a tensor of another type or size")
	}
	c.collective(s, comm.AllReduce, driver.Collective{Op: driver.AllReduce, N: src.Size()}, dst, src)
}

// ReduceScatter: dst = part Rank() of Σ over ranks of src.
func (c *communicator) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || src.Size() != dst.Size()*c.size {
		panic("nccl: reduce-scatter needs src of Size() times dst")
	}
	c.collective(s, comm.ReduceScatter, driver.Collective{Op: driver.ReduceScatter, N: dst.Size()}, dst, src)
}

// AllGather: part r of dst = src of rank r.
func (c *communicator) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || dst.Size() != src.Size()*c.size {
		panic("nccl: all-gather needs dst of Size() times src")
	}
	c.collective(s, comm.AllGather, driver.Collective{Op: driver.AllGather, N: src.Size()}, dst, src)
}

// Broadcast: buf = buf of root.
func (c *communicator) Broadcast(s kernels.Stream, buf kernels.Tensor, root int) {
	c.checkPeer(root)
	c.collective(s, comm.Broadcast, driver.Collective{Op: driver.Broadcast, N: buf.Size(), Peer: root}, buf, buf)
}

// AllToAll: part r of dst = part Rank() of rank r's src. NCCL makes it of sends and receives.
func (c *communicator) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	if !sameSize(dst, src) || src.Size()%c.size != 0 {
		panic("nccl: all-to-all needs tensors of one size divisible by Size()")
	}
	p := c.start(s, comm.AllToAll, dst, src)
	if p == nil {
		return
	}
	n := src.Size() / c.size
	p.CopyFrom(dst.At(c.rank*n, n), src.At(c.rank*n, n))
	var calls []driver.Collective
	for r := range c.size {
		if r != c.rank {
			calls = append(calls, pairwise(p, driver.Send, src.At(r*n, n), r), pairwise(p, driver.Recv, dst.At(r*n, n), r))
		}
	}
	c.enqueue(p, comm.AllToAll, src, calls...)
}

// Barrier holds the stream until every rank's stream is there: a sum of nothing that matters.
func (c *communicator) Barrier(s kernels.Stream) {
	p := c.start(s, comm.Barrier, kernels.Tensor{}, kernels.Tensor{})
	if p == nil || c.size == 1 {
		return
	}
	if c.one == nil {
		b, err := p.Device().Alloc(kernels.F32, 1)
		if err != nil {
			c.stop(p, fmt.Errorf("what a barrier sums: %w", err))
			return
		}
		c.one = b
	}
	x := kernels.Of(c.one, 1)
	c.enqueue(p, comm.Barrier, x, driver.Collective{Op: driver.AllReduce, N: 1, Type: driver.Float32, Dst: p.Address(x), Src: p.Address(x)})
}

// Send hands src to peer's Recv.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.transfer(s, driver.Send, src, peer)
}

// Recv fills dst from peer's Send.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.transfer(s, driver.Recv, dst, peer)
}

func (c *communicator) transfer(s kernels.Stream, op driver.CollectiveOp, x kernels.Tensor, peer int) {
	c.checkPeer(peer)
	p := c.start(s, comm.SendRecv, x, kernels.Tensor{})
	if p == nil {
		return
	}
	call := pairwise(p, op, x, peer)
	if !c.grouping {
		c.enqueue(p, comm.SendRecv, x, call)
		return
	}
	for _, other := range c.grouped {
		if other.Peer == peer && other.Op == op {
			panic("nccl: a group has at most one Send and one Recv for a peer")
		}
	}
	c.grouped = append(c.grouped, call)
}

// pairwise is a Send or Recv of a tensor.
func pairwise(p stream, op driver.CollectiveOp, x kernels.Tensor, peer int) driver.Collective {
	call := driver.Collective{Op: op, N: x.Size(), Type: types[x.DType()], Peer: peer}
	if op == driver.Send {
		call.Src = p.Address(x)
	} else {
		call.Dst = p.Address(x)
	}
	return call
}

// Group makes one call of f's Sends and Recvs; see comm.Communicator.
func (c *communicator) Group(s kernels.Stream, f func()) {
	if c.grouping {
		panic("nccl: a group within a group")
	}
	c.grouping = true
	defer func() { c.grouping, c.grouped = false, nil }()
	f()
	if len(c.grouped) > 0 {
		c.enqueue(below(s), comm.SendRecv, kernels.Tensor{}, c.grouped...)
	}
}

// collective enqueues a call that all ranks make. A rank that is alone copies.
func (c *communicator) collective(s kernels.Stream, op comm.Op, call driver.Collective, dst, src kernels.Tensor) {
	p := c.start(s, op, dst, src)
	switch {
	case p == nil:
	case c.size > 1:
		call.Dst, call.Src, call.Type = p.Address(dst), p.Address(src), types[dst.DType()]
		c.enqueue(p, op, src, call)
	case dst.Buf != src.Buf || dst.Off != src.Off:
		p.CopyFrom(dst, src)
	}
}

// types are NCCL's, by ours.
var types = map[kernels.DType]driver.Type{
	kernels.F64: driver.Float64, kernels.F32: driver.Float32, kernels.F16: driver.Float16, kernels.BF16: driver.BFloat16,
	kernels.I32: driver.Int32, kernels.I8: driver.Int8, kernels.U8: driver.Uint8,
}

// start checks and counts a call, and gives its stream; nil if the call cannot be made, which the stream then says.
func (c *communicator) start(s kernels.Stream, op comm.Op, dst, src kernels.Tensor) stream {
	p := below(s)
	c.counts.Add(op, max(bytes(dst), bytes(src)))
	err := c.Err()
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

// enqueue hands calls to the library.
func (c *communicator) enqueue(p stream, op comm.Op, x kernels.Tensor, calls ...driver.Collective) {
	if len(calls) == 0 {
		return
	}
	action := comm.Action{Op: op, Ranks: c.size}
	if !x.None() {
		action.Elements, action.Type = x.Size(), x.DType()
	}
	n := c.g.w.journal.Begin(action)
	_, s := p.Below()
	p.Guard(c.g.w.err)
	err := c.own.Enqueue(s, calls...)
	c.g.w.journal.End(n)
	if err != nil {
		c.stop(p, c.g.w.cause(err))
	}
}

// stop fails the stream, and the world, which would wait for this rank.
func (c *communicator) stop(s kernels.PeerStream, err error) {
	c.Abort(fmt.Errorf("rank %d: %w", c.g.ranks[c.place], err))
	s.Fail(err)
}

func (c *communicator) checkPeer(r int) {
	if r < 0 || r >= c.size {
		panic("nccl: no such rank in this communicator")
	}
}

func bytes(t kernels.Tensor) int64 {
	if t.None() {
		return 0
	}
	return int64(t.Size()) * int64(t.DType().Size())
}

func sameSize(a, b kernels.Tensor) bool { return a.DType() == b.DType() && a.Size() == b.Size() }
