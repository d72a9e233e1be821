package calls

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// AllReduce: dst = Σ over ranks of src.
func (f *Front) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	if !SameSize(dst, src) {
		panic("comm: all-reduce into a tensor of another type or size")
	}
	f.enqueue(s, comm.AllReduce, dst, src, 0)
}

// ReduceScatter: dst = part Rank() of Σ over ranks of src.
func (f *Front) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || src.Size() != dst.Size()*f.size {
		panic("comm: reduce-scatter needs src of Size() times dst")
	}
	f.enqueue(s, comm.ReduceScatter, dst, src, 0)
}

// AllGather: part r of dst = src of rank r.
func (f *Front) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	if src.DType() != dst.DType() || dst.Size() != src.Size()*f.size {
		panic("comm: all-gather needs dst of Size() times src")
	}
	f.enqueue(s, comm.AllGather, dst, src, 0)
}

// Broadcast: buf = buf of root.
func (f *Front) Broadcast(s kernels.Stream, buf kernels.Tensor, root int) {
	f.checkPeer(root)
	f.enqueue(s, comm.Broadcast, buf, kernels.Tensor{}, root)
}

// AllToAll: part r of dst = part Rank() of rank r's src.
func (f *Front) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	if !SameSize(dst, src) || src.Size()%f.size != 0 {
		panic("comm: all-to-all needs tensors of one size divisible by Size()")
	}
	f.enqueue(s, comm.AllToAll, dst, src, 0)
}

// Barrier holds the stream until every rank's stream is there.
func (f *Front) Barrier(s kernels.Stream) {
	f.enqueue(s, comm.Barrier, kernels.Tensor{}, kernels.Tensor{}, 0)
}

// Send hands src to peer's Recv.
func (f *Front) Send(s kernels.Stream, src kernels.Tensor, peer int) {
	f.checkPeer(peer)
	f.enqueue(s, comm.SendRecv, kernels.Tensor{}, src, peer)
}

// Recv fills dst from peer's Send.
func (f *Front) Recv(s kernels.Stream, dst kernels.Tensor, peer int) {
	f.checkPeer(peer)
	f.enqueue(s, comm.SendRecv, dst, kernels.Tensor{}, peer)
}

// Group makes one call of g's Sends and Recvs; see comm.Communicator.
func (f *Front) Group(s kernels.Stream, g func()) {
	h := host(s)
	if f.group != nil {
		panic("comm: a group within a group")
	}
	k := f.take()
	k.Op, k.Stream = comm.SendRecv, h
	f.group = k
	defer func() { f.group = nil }()
	g()
	h.Do(k.run)
}

// gather adds a call to a group.
func (k *Call) gather(part Call) {
	if part.Op != comm.SendRecv {
		panic("comm: only Send and Recv go in a group")
	}
	for i := range k.Part {
		if k.Part[i].Peer == part.Peer && k.Part[i].Src.None() == part.Src.None() {
			panic("comm: a group has at most one Send and one Recv for a peer")
		}
	}
	k.Part = append(k.Part, part)
}

func (f *Front) checkPeer(r int) {
	if r < 0 || r >= f.size {
		panic("comm: no such rank in this communicator")
	}
}
