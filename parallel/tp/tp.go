// Package tp is tensor parallelism (Shoeybi et al., "Megatron-LM", arXiv:1909.08053, section 3): the first matrix of each half of a block
// is cut by rows (output channels), the second by columns, so that one sum per half and direction suffices. The cut itself is in
// kernels/block; here is where the ranks meet.
//
// Norms, embeddings and the head are held whole by every rank; sequence parallelism is not in it.
package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Region is the paper's conjugate pair f and g over the ranks of a communicator. It implements block.Region.
type Region struct{ Comm comm.Communicator }

// Enter is f's backward pass: dx becomes its sum over ranks.
func (r Region) Enter(s kernels.Stream, dx kernels.Tensor) { r.Comm.AllReduce(s, dx, dx) }

// Leave is g's forward pass: x becomes its sum over ranks.
func (r Region) Leave(s kernels.Stream, x kernels.Tensor) { r.Comm.AllReduce(s, x, x) }
