package block

import "ofpeak/kernels"

// linear is a weight, its bias and their gradients.
type linear struct {
	w, dw kernels.Weight
	b, db kernels.Tensor
	off   int // of the weight in the arenas; the bias follows
}

// norm is a LayerNorm's parameters and their gradients.
type norm struct {
	gain, bias, dgain, dbias kernels.Tensor
	off                      int // of the gain in the arenas; the bias follows
}

// forward is out = x·Wᵀ + b.
func (l linear) forward(s kernels.Stream, out, x kernels.Tensor) {
	s.LinearForward(out, x, l.w, kernels.Epilogue{Bias: l.b})
}

// spread is out = x·Wᵀ with an epilogue, for all tokens, from each tensor-parallel rank's own x. A piece of x is on its way while the one before is multiplied.
func (l linear) spread(s kernels.Stream, out, x kernels.Tensor, e kernels.Epilogue, tp Region) {
	n, aux := prefetch(s, x, tp), e.Aux
	for i := range n {
		in := x
		if tp != nil {
			in = tp.Fetched(s, x, i, n)
		}
		e.Aux = piece(aux, i, n, tp)
		s.LinearForward(piece(out, i, n, tp), in, l.w, e)
	}
}

// leave is out = residual + b + x·Wᵀ summed over the tensor-parallel ranks, which each hold a slice of W's columns. A piece is summed while the next is multiplied.
func (l linear) leave(s kernels.Stream, out, x, residual kernels.Tensor, tp Region) {
	if tp == nil {
		s.LinearForward(out, x, l.w, kernels.Epilogue{Bias: l.b, Residual: residual})
		return
	}
	n := tp.Pieces()
	for i := range n {
		s.LinearForward(tp.Piece(tp.Partial(out), i, n), tp.Piece(x, i, n), l.w, kernels.Epilogue{})
		tp.StartSum(s, out, i, n)
	}
	for i := range n {
		tp.EndSum(s, i)
		sum := tp.Piece(out, i, n)
		s.Add(sum, sum, l.b, tp.Piece(residual, i, n))
	}
}

// grad adds to the gradients of weight and bias.
func (l linear) grad(s kernels.Stream, dout, x kernels.Tensor, hooks Hooks) {
	s.LinearBackwardWeight(l.dw, l.db, dout, x)
	ready(hooks, l.off)
}

// enter is dx = dout·W summed over the tensor-parallel ranks, which each hold a slice of W's rows. The sum is there after endSum.
func (l linear) enter(s kernels.Stream, dx, dout kernels.Tensor, tp Region) {
	if tp == nil {
		s.LinearBackwardInput(dx, dout, l.w, kernels.Epilogue{})
		return
	}
	s.LinearBackwardInput(tp.Partial(dx), dout, l.w, kernels.Epilogue{})
	tp.StartSum(s, dx, 0, 1)
}

// backward is dx = residual + the gradient through the norm of x, and adds to the gradients of gain and bias.
func (n norm) backward(s kernels.Stream, dx, dout, x, mean, rstd, residual kernels.Tensor, hooks Hooks) {
	s.LayerNormBackward(dx, n.dgain, n.dbias, dout, x, mean, rstd, n.gain, residual)
	ready(hooks, n.off)
}
