// Package dp is data parallelism: every rank holds the whole model, or the same part of it, runs its share of the batch, and all ranks'
// gradients are summed. Losses divide by the global count, so the sum is the gradient of the whole batch.
//
// It moves gradients only; sharding optimizer state, gradients or parameters is not in it.
package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Reducer sums a stage's gradients over the data-parallel ranks. Its hooks go with the step's last backward pass, and only with that.
type Reducer interface {
	block.Hooks
	// Wait makes what is enqueued on the compute stream later see the sums.
	Wait()
	Close()
}

// Naive sums all gradients at once, on the compute stream, when Wait is called.
type Naive struct {
	Comm    comm.Communicator
	Compute kernels.Stream
	Grads   kernels.Tensor // may be absent
}

// Gather has nothing to fetch.
func (n *Naive) Gather(int) {}

// Ready does nothing: the gradients wait for the end of the backward pass.
func (n *Naive) Ready(int) {}

// Wait sums.
func (n *Naive) Wait() {
	if !n.Grads.None() {
		n.Comm.AllReduce(n.Compute, n.Grads, n.Grads)
	}
}

// Close has nothing to free.
func (n *Naive) Close() {}
