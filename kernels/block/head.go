package block

import "ofpeak/kernels"

// lmHead is the language model's end: a final norm, a product with the (V,C) output matrix, and cross-entropy. Every tensor-parallel
// rank holds it whole.
type lmHead struct {
	ln  norm
	out linear // no bias
}

// headActs are what the head's forward leaves for its backward. The norm runs on the tokens that a rank holds, S of them as in blockActs.
type headActs struct {
	norm       kernels.Tensor // (S,C)
	mean, rstd kernels.Tensor // (S)
	logits     kernels.Tensor // (N,V), overwritten by its gradient
	dnorm      kernels.Tensor // (N,C)
}

func (h *lmHead) forward(s kernels.Stream, in kernels.Tensor, a *headActs, tp Region) {
	s.LayerNormForward(a.norm, a.mean, a.rstd, in, h.ln.gain, h.ln.bias)
	h.out.forward(s, a.logits, whole(s, a.norm, tp))
}

// backward writes d, the gradient of in, from the gradient of the logits that CrossEntropy left in their place.
func (h *lmHead) backward(s kernels.Stream, c Config, d, in kernels.Tensor, a *headActs, tp Region, hooks Hooks) {
	h.out.grad(s, a.logits, whole(s, a.norm, tp), hooks)
	h.backwardInput(s, c, d, in, a, tp)
	ready(hooks, h.ln.off)
}

// backwardInput is backward without the gradients of the matrix.
func (h *lmHead) backwardInput(s kernels.Stream, c Config, d, in kernels.Tensor, a *headActs, tp Region) {
	s.LinearBackwardInput(a.dnorm, a.logits, h.out.w, kernels.Epilogue{})
	n := c.runs()
	for i := range n {
		own := func(x kernels.Tensor) kernels.Tensor { return piece(x, i, n, tp) }
		h.ln.backward(s, own(d), c.own(a.dnorm, i, tp), own(in), own(a.mean), own(a.rstd), kernels.Tensor{}, nil)
	}
}
