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

// leave is out = residual + b + x·Wᵀ summed over the tensor-parallel ranks, which each hold a slice of W's columns.
func (l linear) leave(s kernels.Stream, out, x, residual kernels.Tensor, tp Region) {
	if tp == nil {
		s.LinearForward(out, x, l.w, kernels.Epilogue{Bias: l.b, Residual: residual})
		return
	}
	s.LinearForward(tp.Partial(out), x, l.w, kernels.Epilogue{})
	tp.Sum(s, out)
	s.Add(out, out, l.b, residual)
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
	tp.StartSum(s, dx)
}

// backward is dx = residual + the gradient through the norm of x, and adds to the gradients of gain and bias.
func (n norm) backward(s kernels.Stream, dx, dout, x, mean, rstd, residual kernels.Tensor, hooks Hooks) {
	s.LayerNormBackward(dx, n.dgain, n.dbias, dout, x, mean, rstd, n.gain, residual)
	ready(hooks, n.off)
}
