// Package dp is data parallelism: every rank holds the whole model, or the same part of it, runs its share of the batch, and all ranks'
// gradients are summed. Losses divide by the global count, so the sum is the gradient of the whole batch.
//
// Its memory is one copy of everything on every rank, unless ZeRO spreads it.
package dp

import (
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
)

// Reducer sums a stage's gradients over the data-parallel ranks.
type Reducer interface {
	// Forward gives the hooks of the next forward pass, or nil.
	Forward() block.Hooks
	// Backward gives the hooks of the next backward pass, or nil. It is told which is the step's last.
	Backward(last bool) block.Hooks
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

// Forward needs no hooks.
func (n *Naive) Forward() block.Hooks { return nil }

// Backward needs none either: the gradients wait for its end.
func (n *Naive) Backward(bool) block.Hooks { return nil }

// Wait sums.
func (n *Naive) Wait() {
	if !n.Grads.None() {
		n.Comm.AllReduce(n.Compute, n.Grads, n.Grads)
	}
}

// Close has nothing to free.
func (n *Naive) Close() {}
