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
	grouped      bool  // what follows is part of a group, which is one call
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

// Bind passes on the stream below.
func (c *communicator) Bind(s kernels.Stream) error {
	inner, _ := unwrap(s)
	return c.Communicator.Bind(inner)
}

// Unwrap is the communicator itself.
func (c *communicator) Unwrap() comm.Communicator { return c.Communicator }

// Capture passes on the stream below; see comm.Capturer.
func (c *communicator) Capture(s kernels.Stream, f func()) (kernels.Graph, error) {
	inner, _ := unwrap(s)
	return comm.Capture(c.Communicator, inner, f)
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
	return transfer(s, op.String(), bytes, Call{Group: c.group, From: -1, To: -1, Number: c.calls})
}

// transfer notes a call, whose end the caller notes.
func transfer(s kernels.Stream, op string, bytes float64, k Call) (inner kernels.Stream, rec *stream) {
	inner, rec = unwrap(s)
	if rec != nil {
		rec.begin(Span{Op: op, Kind: Transfer})
		rec.call(k, bytes)
	}
	return inner, rec
}

// pair notes a Send or a Recv, alone or in a group.
func (c *communicator) pair(s kernels.Stream, op string, bytes float64, k Call) (inner kernels.Stream, rec *stream) {
	if !c.grouped {
		return transfer(s, op, bytes, k)
	}
	if inner, rec = unwrap(s); rec != nil {
		rec.call(k, bytes)
	}
	return inner, nil
}

// Group notes one call for all that f enqueues.
func (c *communicator) Group(s kernels.Stream, f func()) {
	inner, rec := unwrap(s)
	if rec != nil {
		rec.begin(Span{Op: comm.SendRecv.String(), Kind: Transfer})
	}
	c.Communicator.Group(inner, func() {
		c.grouped = true
		defer func() { c.grouped = false }()
		f()
	})
	rec.end()
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

// Send notes the call.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.sends[peer]++
	inner, rec := c.pair(s, "send", size(src), Call{Group: c.group, From: c.Rank(), To: peer, Number: c.sends[peer], Sends: true})
	c.Communicator.Send(inner, src, peer)
	rec.end()
}

// Recv notes the call.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.recvs[peer]++
	inner, rec := c.pair(s, "recv", size(dst), Call{Group: c.group, From: peer, To: c.Rank(), Number: c.recvs[peer]})
	c.Communicator.Recv(inner, dst, peer)
	rec.end()
}
