// Package cp is context parallelism: every rank holds the same layers and some of the positions of each sequence, and attention goes around a ring
// (Liu et al., "Ring Attention with Blockwise Transformers for Near-Infinite Context", arXiv:2310.01889, section 3). Each rank's keys and values travel
// past all ranks while these attend to what they have. Which positions a rank holds is in kernels/block; here is where the ranks meet.
//
// Outside of attention the ranks work as data-parallel ones do, and so their gradients are summed.
package cp

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/events"
)

// Ring is attention over the ranks of a communicator. A rank's tokens are two chunks of each sequence, by block.Config.Place: number r, in the first half of
// a tensor's rows, and 2p-1-r in the second, of p ranks. Under the causal mask a chunk sees itself in part and all chunks before it wholly. So of another rank's
// keys and values, those of a lower rank's first chunk are seen by both own chunks, and of a higher rank both chunks by the own second one: two
// products of equal size in each hop, whoever the ranks are. It implements block.Ring.
//
// The backward pass sends keys and values around once more. Their gradients travel with them, one hop behind, and come home with one hop more. What a rank adds
// to them is computed apart, so that they have a whole hop's computation to arrive in.
type Ring struct {
	comm   comm.Communicator
	stream kernels.Stream // of the hops
	wait   func(kernels.Event)
	events *events.Pool
	bufs   []kernels.Buffer

	places [2]place
	more   kernels.Tensor // what this rank adds to gradients; shape of a place's
}

// place holds the keys and values (2B,T,2,NH,HS) of some hop, and the gradients of those of the hop before, one after the other.
type place struct{ both, kv, dkv kernels.Tensor }

// New takes the memory of a stage's ring. wait makes the compute stream wait for an event; the caller may time it.
func New(dev kernels.Device, c comm.Communicator, stream kernels.Stream, st *block.Stage, wait func(kernels.Event)) (*Ring, error) {
	r := &Ring{comm: c, stream: stream, wait: wait}
	rows, length := st.Grid()
	shape := []int{rows, length, 2, st.NH / st.TP, st.C / st.NH}
	n := rows * length * 2 * st.C / st.TP
	alloc := func(n int) (kernels.Tensor, error) {
		b, err := dev.Alloc(st.Precision.Compute, n)
		if err != nil {
			return kernels.Tensor{}, err
		}
		r.bufs = append(r.bufs, b)
		return kernels.Of(b, n), nil
	}
	err := r.alloc(alloc, n, shape, st.Forward)
	if err == nil {
		r.events, err = events.NewPool(dev)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("ring: %w", err)
	}
	return r, nil
}

func (r *Ring) alloc(alloc func(n int) (kernels.Tensor, error), n int, shape []int, forward bool) error {
	for i := range r.places {
		size := 2 * n
		if forward {
			size = n
		}
		both, err := alloc(size)
		if err != nil {
			return err
		}
		r.places[i] = place{both: both, kv: both.At(0, shape...)}
		if !forward {
			r.places[i].dkv = both.At(n, shape...)
		}
	}
	if forward {
		return nil
	}
	more, err := alloc(n)
	if err == nil {
		r.more = more.Reshape(shape...)
	}
	return err
}

// Start begins a step. All streams are idle.
func (r *Ring) Start() { r.events.Start() }

// Err is the first failure to make an event.
func (r *Ring) Err() error { return r.events.Err() }

// Close frees memory and events. The streams are idle.
func (r *Ring) Close() {
	if r.events != nil {
		r.events.Close()
	}
	for _, b := range r.bufs {
		b.Free()
	}
}

// at is the place of a hop's keys and values.
func (r *Ring) at(hop int) *place { return &r.places[hop%2] }

// source is the rank whose keys and values a hop brings.
func (r *Ring) source(hop int) int { return (r.comm.Rank() + r.comm.Size() - hop) % r.comm.Size() }

// hop hands src to the next rank and takes dst from the one before, once the compute stream has come to here: it has written src, and has done with dst.
func (r *Ring) hop(s kernels.Stream, dst, src kernels.Tensor) kernels.Event {
	e := r.events.Record(s)
	r.stream.Wait(e)
	p := r.comm.Size()
	r.comm.Group(r.stream, func() {
		r.comm.Send(r.stream, src, (r.comm.Rank()+1)%p)
		r.comm.Recv(r.stream, dst, (r.comm.Rank()+p-1)%p)
	})
	return r.events.Record(r.stream)
}

// pack makes this rank's keys and values ready to travel.
func (r *Ring) pack(s kernels.Stream, qkv kernels.Tensor) {
	columns(s, r.at(0).kv, qkv, 0, 1)
}

// columns copies keys and values from one tensor (2B,T,M,NH,HS) to another, which start at some of their M parts.
func columns(s kernels.Stream, dst, src kernels.Tensor, to, from int) {
	p := dst.Dim(3) * dst.Dim(4)
	s.CopyColumns(matrix(dst), matrix(src), to*p, from*p, 2*p)
}

// matrix is a tensor (2B,T,M,NH,HS) as a row for each token.
func matrix(x kernels.Tensor) kernels.Tensor {
	return x.Reshape(x.Dim(0)*x.Dim(1), x.Dim(2)*x.Dim(3)*x.Dim(4))
}

// half is the part of a tensor that belongs to a rank's first (0) or second (1) chunk.
func half(x kernels.Tensor, i int) kernels.Tensor {
	n := x.Dim(0) / 2
	return x.Slice(i*n, (i+1)*n)
}

// pairs calls f for each pair of a chunk of this rank's and one that a hop brings, both 0 or 1, where the first sees all of the second.
func (r *Ring) pairs(hop int, f func(own, brought int)) {
	switch source := r.source(hop); {
	case hop == 0:
		f(1, 0)
	case source < r.comm.Rank():
		f(0, 0)
		f(1, 0)
	default:
		f(1, 0)
		f(1, 1)
	}
}

// Forward is attention of all this rank's queries. The keys and values of the next hop come in while those of this one are in use.
func (r *Ring) Forward(s kernels.Stream, out, lse, qkv kernels.Tensor) {
	p := r.comm.Size()
	r.pack(s, qkv)
	there := r.hop(s, r.at(1).kv, r.at(0).kv)
	s.AttentionForward(out, lse, qkv)
	for hop := range p {
		if hop > 0 {
			r.wait(there)
			if hop < p-1 {
				there = r.hop(s, r.at(hop+1).kv, r.at(hop).kv)
			}
		}
		kv := r.at(hop).kv
		r.pairs(hop, func(own, brought int) {
			s.AttentionExtendForward(half(out, own), half(lse, own), half(qkv, own), half(kv, brought))
		})
	}
}

// Backward is the gradient of Forward.
func (r *Ring) Backward(s kernels.Stream, dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	extend := func(hop int, dkv kernels.Tensor) {
		kv := r.at(hop).kv
		r.pairs(hop, func(own, brought int) {
			s.AttentionExtendBackward(half(dqkv, own), half(dkv, brought), half(scratch, own), half(dout, own), half(lse, own), half(qkv, own), half(kv, brought))
		})
	}
	p := r.comm.Size()
	r.pack(s, qkv)
	there := r.hop(s, r.at(1).kv, r.at(0).kv)
	s.AttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	dkv := r.at(1).dkv // beside the place of the next hop's keys and values, with which it travels
	columns(s, dkv, dqkv, 0, 1)
	extend(0, dkv)
	r.wait(there)
	for hop := 1; hop < p; hop++ {
		from, to := r.at(hop), r.at(hop+1)
		if hop < p-1 {
			there = r.hop(s, to.both, from.both)
		} else {
			there = r.hop(s, to.dkv, from.dkv)
		}
		s.Fill(r.more, 0)
		extend(hop, r.more)
		r.wait(there)
		s.Add(matrix(to.dkv), matrix(r.more), kernels.Tensor{}, matrix(to.dkv))
	}
	home := r.at(p + 1)
	r.wait(r.hop(s, home.dkv, r.at(p).dkv))
	columns(s, dqkv, home.dkv, 1, 0)
}
