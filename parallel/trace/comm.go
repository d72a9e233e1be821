package trace

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// communicator notes the transfers that its calls enqueue. It implements comm.Communicator.
type communicator struct {
	comm.Communicator
	group        string
	splits       int
	calls        int
	sends, recvs []int // by peer
}

// Connect wraps the communicators of a world.
func Connect(world []comm.Communicator) []comm.Communicator {
	for i, c := range world {
		world[i] = wrap(c, "world")
	}
	return world
}

func wrap(c comm.Communicator, group string) *communicator {
	return &communicator{Communicator: c, group: group, sends: make([]int, c.Size()), recvs: make([]int, c.Size())}
}

// Split wraps the new communicator. Since all ranks split in the same order, its name is the same on all its ranks.
func (c *communicator) Split(color, key int) (comm.Communicator, error) {
	inner, err := c.Communicator.Split(color, key)
	if err != nil || inner == nil {
		return inner, err
	}
	c.splits++
	return wrap(inner, fmt.Sprintf("%s/%d.%d", c.group, c.splits, color)), nil
}

// collective notes a call that all ranks make, and returns the stream to make it on.
func (c *communicator) collective(s kernels.Stream, op comm.Op, bytes float64) (inner kernels.Stream, rec *stream) {
	c.calls++
	return transfer(s, op.String(), bytes, Call{c.group, -1, -1, c.calls})
}

// transfer notes a call, whose end the caller notes.
func transfer(s kernels.Stream, op string, bytes float64, k Call) (inner kernels.Stream, rec *stream) {
	inner, rec = unwrap(s)
	if rec != nil {
		rec.begin(Span{Op: op, Kind: Transfer, Bytes: bytes, Call: k})
	}
	return inner, rec
}

// AllReduce notes the call.
func (c *communicator) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	inner, rec := c.collective(s, comm.AllReduce, size(src))
	c.Communicator.AllReduce(inner, dst, src)
	rec.end()
}

// ReduceScatter notes the call.
func (c *communicator) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	inner, rec := c.collective(s, comm.ReduceScatter, size(src))
	c.Communicator.ReduceScatter(inner, dst, src)
	rec.end()
}

// AllGather notes the call.
func (c *communicator) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	inner, rec := c.collective(s, comm.AllGather, size(dst))
	c.Communicator.AllGather(inner, dst, src)
	rec.end()
}

// Broadcast notes the call.
func (c *communicator) Broadcast(s kernels.Stream, buf kernels.Tensor, root int) {
	inner, rec := c.collective(s, comm.Broadcast, size(buf))
	c.Communicator.Broadcast(inner, buf, root)
	rec.end()
}

// AllToAll notes the call.
func (c *communicator) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	inner, rec := c.collective(s, comm.AllToAll, size(src))
	c.Communicator.AllToAll(inner, dst, src)
	rec.end()
}

// Barrier notes the call.
func (c *communicator) Barrier(s kernels.Stream) {
	inner, rec := c.collective(s, comm.Barrier, 0)
	c.Communicator.Barrier(inner)
	rec.end()
}

// Send notes the call, which its Recv will have the same Call as.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.sends[peer]++
	inner, rec := transfer(s, "send", size(src), Call{c.group, c.Rank(), peer, c.sends[peer]})
	c.Communicator.Send(inner, src, peer)
	rec.end()
}

// Recv notes the call.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.recvs[peer]++
	inner, rec := transfer(s, "recv", size(dst), Call{c.group, peer, c.Rank(), c.recvs[peer]})
	c.Communicator.Recv(inner, dst, peer)
	rec.end()
}
