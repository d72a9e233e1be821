package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Sequence is tensor parallelism with sequence parallelism (Korthikanti et al., "Reducing Activation Recomputation in Large Transformer
// Models", arXiv:2205.05198, section 4.2.2): outside of the products each rank holds its own tokens only. An all-reduce then falls into the
// all-gather that enters a product and the reduce-scatter that leaves the next, which together move as much. What is gathered is not kept: the
// backward pass gathers it again. It implements block.Region.
type Sequence struct {
	Comm comm.Communicator
	All  kernels.Tensor // (N,C), memory for all tokens

	Sums kernels.Tensor // likewise, where summands lie; a forward pass alone may have one memory for both

	Aside *Aside         // nil: sums and gathers hold the compute stream
	Next  kernels.Tensor // with Aside, likewise, for what is prefetched
}

// Whole gathers all ranks' tokens.
func (r Sequence) Whole(s kernels.Stream, x kernels.Tensor) kernels.Tensor {
	r.Comm.AllGather(s, r.All, x)
	return r.All
}

// Prefetch gathers beside what follows.
func (r Sequence) Prefetch(s kernels.Stream, x kernels.Tensor) {
	if r.Aside == nil {
		return
	}
	r.Aside.behind(s)
	r.Aside.comm.AllGather(r.Aside.stream, r.Next, x)
	r.Aside.gather = r.Aside.events.Record(r.Aside.stream)
}

// Fetched waits for what was prefetched.
func (r Sequence) Fetched(s kernels.Stream, x kernels.Tensor) kernels.Tensor {
	if r.Aside == nil {
		return r.Whole(s, x)
	}
	r.Aside.wait(r.Aside.gather)
	return r.Next
}

// Partial is memory for all tokens.
func (r Sequence) Partial(kernels.Tensor) kernels.Tensor {
	return r.Sums
}

// Sum leaves x the sum for this rank's tokens.
func (r Sequence) Sum(s kernels.Stream, x kernels.Tensor) {
	r.Comm.ReduceScatter(s, x, r.Sums)
}

// StartSum is Sum, beside what follows.
func (r Sequence) StartSum(s kernels.Stream, x kernels.Tensor) {
	if r.Aside == nil {
		r.Sum(s, x)
		return
	}
	r.Aside.behind(s)
	r.Aside.comm.ReduceScatter(r.Aside.stream, x, r.Sums)
	r.Aside.started()
}

// EndSum waits for it.
func (r Sequence) EndSum(kernels.Stream) { r.Aside.endSum() }

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
