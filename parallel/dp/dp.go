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
	Compute kernels.Stream
	Parts   []Part
}

// Part is a range of a stage's gradients, and the ranks that sum it.
type Part struct {
	block.Range
	Comm  comm.Communicator
	Grads kernels.Tensor
}

// Groups connect the ranks that have a part in a stage's gradients: All those that share what are no experts, Same those of them that also hold the
// same experts.
type Groups struct{ All, Same comm.Communicator }

// of is the group of a range of parameters.
func (g Groups) of(s block.Segment) comm.Communicator {
	if s.Expert {
		return g.Same
	}
	return g.All
}

// Parts are a stage's gradients that ranks share.
func Parts(st *block.Stage, g Groups) []Part {
	var ps []Part
	for _, s := range st.Segments() {
		if c := g.of(s); s.Len() > 0 && c.Size() > 1 {
			ps = append(ps, Part{s.Range, c, st.Grads.At(s.Lo, s.Len())})
		}
	}
	return ps
}

// Forward needs no hooks.
func (n *Naive) Forward() block.Hooks { return nil }

// Backward needs none either: the gradients wait for its end.
func (n *Naive) Backward(bool) block.Hooks { return nil }

// Wait sums.
func (n *Naive) Wait() {
	for _, p := range n.Parts {
		p.Comm.AllReduce(n.Compute, p.Grads, p.Grads)
	}
}

// Close has nothing to free.
func (n *Naive) Close() {}
