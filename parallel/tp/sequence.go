package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Sequence is tensor parallelism with sequence parallelism (Korthikanti et al., "Reducing Activation Recomputation in Large Transformer
// Models", arXiv:2205.05198, section 4.2.2): outside of the products each rank holds its own tokens only. An all-reduce then falls into the
// all-gather that enters a product and the reduce-scatter that leaves the next, which together move as much. What is gathered is not kept: the
// backward pass gathers it again. It implements block.Region.
//
// A rank's own tokens are its part of each piece of all tokens, one piece behind the other, so that each piece is gathered and summed by itself.
type Sequence struct {
	*Cut
	Comm comm.Communicator
	All  kernels.Tensor // (N,C), memory for all tokens

	Sums kernels.Tensor // likewise, where summands lie; a forward pass alone may have one memory for all three

	Aside *Aside         // nil: sums and gathers hold the compute stream
	Next  kernels.Tensor // with Aside, likewise, for what is prefetched
}

// Whole gathers all ranks' tokens.
func (r Sequence) Whole(s kernels.Stream, x kernels.Tensor) kernels.Tensor {
	for i := range r.pieces {
		r.gather(r.Comm, s, r.All, x, i)
	}
	return r.All
}

// gather brings a piece of x from all ranks to its place in all.
func (r Sequence) gather(c comm.Communicator, s kernels.Stream, all, x kernels.Tensor, i int) {
	c.AllGather(s, r.Piece(all, i, r.pieces), r.Piece(x, i, r.pieces))
}

// Prefetch gathers beside what follows.
func (r Sequence) Prefetch(s kernels.Stream, x kernels.Tensor) int {
	if r.Aside == nil {
		return 1
	}
	c, on := r.Aside.beside(r.Comm, s)
	for i := range r.pieces {
		r.gather(c, on, r.Next, x, i)
		r.Aside.gathering(i)
	}
	return r.pieces
}

// Fetched waits for what was prefetched.
func (r Sequence) Fetched(s kernels.Stream, x kernels.Tensor, i, n int) kernels.Tensor {
	if r.Aside == nil {
		return r.Whole(s, x)
	}
	r.Aside.endGather((i+1)*r.pieces/n - 1)
	return r.Piece(r.Next, i, n)
}

// Partial is memory for all tokens.
func (r Sequence) Partial(kernels.Tensor) kernels.Tensor {
	return r.Sums
}

// StartSum leaves x the sum for this rank's tokens.
func (r Sequence) StartSum(s kernels.Stream, x kernels.Tensor, i, n int) {
	c, on := r.Aside.beside(r.Comm, s)
	for j := i * r.pieces / n; j < (i+1)*r.pieces/n; j++ {
		c.ReduceScatter(on, r.Piece(x, j, r.pieces), r.Piece(r.Sums, j, r.pieces))
	}
	r.Aside.summing(i)
}

// EndSum waits for it.
func (r Sequence) EndSum(_ kernels.Stream, i int) { r.Aside.endSum(i) }

// SumWhole sums what every rank has for all tokens.
func (r Sequence) SumWhole(s kernels.Stream, x kernels.Tensor) { r.Comm.AllReduce(s, x, x) }

// Partials are gradients that each rank has added to for its own tokens only, and that need one sum over the ranks a step.
type Partials struct {
	comm   comm.Communicator
	grads  []kernels.Tensor
	packed []kernels.Tensor // places in all
	all    kernels.Tensor
}

// NewPartials takes the gradients, and memory of their type for all of them.
func NewPartials(c comm.Communicator, grads []kernels.Tensor, all kernels.Tensor) *Partials {
	p := &Partials{comm: c, grads: grads, all: all}
	at := 0
	for _, g := range grads {
		p.packed = append(p.packed, all.At(at, g.Size()))
		at += g.Size()
	}
	return p
}

// Sum replaces the gradients by their sums, in one call for all.
func (p *Partials) Sum(s kernels.Stream) {
	for i, g := range p.grads {
		s.Copy(p.packed[i], g)
	}
	p.comm.AllReduce(s, p.all, p.all)
	for i, g := range p.grads {
		s.Copy(g, p.packed[i])
	}
}
