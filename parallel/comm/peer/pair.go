package peer

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// pair is the way from one rank to another: the sender offers its tensor with the mark that it is ready, the receiver enqueues the copy and replies with the mark that
// it has been made.
type pair struct {
	offers  chan offer
	replies chan reply
}

type reply struct {
	taken kernels.Event
	err   error
}

// Send hands src to peer's Recv.
func (c *communicator) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	c.checkPeer(peer)
	p := c.start(s, comm.SendRecv, kernels.Tensor{}, src)
	if p == nil || !c.mark(p, &c.mine[2*peer]) {
		return
	}
	f, way := c.g.fault, &c.g.pairs[c.rank*c.Size()+peer]
	select {
	case way.offers <- offer{src: src, arrived: c.mine[2*peer]}:
	case <-f.Done():
		p.Fail(f.Get())
		return
	}
	select {
	case r := <-way.replies:
		if r.err != nil {
			p.Fail(r.err)
			return
		}
		p.Wait(r.taken)
	case <-f.Done():
		p.Fail(f.Get())
	}
}

// Recv fills dst from peer's Send.
func (c *communicator) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	c.checkPeer(peer)
	p := c.start(s, comm.SendRecv, dst, kernels.Tensor{})
	if p == nil {
		return
	}
	f, way := c.g.fault, &c.g.pairs[peer*c.Size()+c.rank]
	var o offer
	select {
	case o = <-way.offers:
	case <-f.Done():
		p.Fail(f.Get())
		return
	}
	var r reply
	if sameSize(dst, o.src) {
		p.Wait(o.arrived)
		p.CopyFrom(dst, o.src)
		if !c.mark(p, &c.mine[2*peer+1]) {
			return
		}
		r.taken = c.mine[2*peer+1]
	} else {
		r.err = fmt.Errorf("peer: rank %d sends %d %v, rank %d expects %d %v", c.g.world[peer], o.src.Size(), o.src.DType(), c.g.world[c.rank], dst.Size(), dst.DType())
		p.Fail(r.err)
	}
	select {
	case way.replies <- r:
	case <-f.Done():
		p.Fail(f.Get())
	}
}

func (c *communicator) checkPeer(r int) {
	if r < 0 || r >= c.Size() {
		panic("peer: no such rank in this communicator")
	}
}
