// Package tp is tensor parallelism (Shoeybi et al., "Megatron-LM", arXiv:1909.08053, section 3): the first matrix of each half of a block
// is cut by rows (output channels), the second by columns, so that one sum per half and direction suffices. The cut itself is in
// kernels/block; here is where the ranks meet.
//
// Embeddings and the head's matrix are held whole by every rank.
package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Region is the paper's conjugate pair f and g over the ranks of a communicator: every rank holds all tokens. It implements block.Region.
type Region struct {
	*Cut
	Comm  comm.Communicator
	Aside *Aside // nil: sums hold the compute stream
}

// Whole is the identity: f's forward, and g's backward pass.
func (r Region) Whole(_ kernels.Stream, x kernels.Tensor) kernels.Tensor { return x }

// Prefetch has nothing to fetch.
func (r Region) Prefetch(kernels.Stream, kernels.Tensor) int { return 1 }

// Fetched is Whole.
func (r Region) Fetched(_ kernels.Stream, x kernels.Tensor, i, n int) kernels.Tensor {
	return r.Piece(x, i, n)
}

// Partial is x itself: the sum replaces the summand.
func (r Region) Partial(x kernels.Tensor) kernels.Tensor { return x }

// SumWhole is in place too.
func (r Region) SumWhole(s kernels.Stream, x kernels.Tensor) { r.Comm.AllReduce(s, x, x) }

// StartSum is g's forward, and f's backward pass.
func (r Region) StartSum(s kernels.Stream, x kernels.Tensor, i, n int) {
	c, on := r.Aside.beside(r.Comm, s)
	part := r.Piece(x, i, n)
	c.AllReduce(on, part, part)
	r.Aside.summing(i)
}

// EndSum waits for it.
func (r Region) EndSum(_ kernels.Stream, i int) { r.Aside.endSum(i) }
