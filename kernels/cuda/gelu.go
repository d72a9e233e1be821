package cuda

import "ofpeak/kernels"

// gelu enqueues out = gelu(aux) + residual, of 16-bit operands, behind a product that a library has computed without.
func (s *stream) gelu(out, aux, residual kernels.Tensor) {
	name, over := s.packs("gelu_forward_"+suffix(out.DType()), out, aux, residual)
	s.launch("gelu", name, over, out, aux, residual, out.Size())
}

// geluGradient enqueues dx *= gelu'(aux).
func (s *stream) geluGradient(dx, aux kernels.Tensor) {
	name, over := s.packs("gelu_backward_"+suffix(dx.DType()), dx, aux)
	s.launch("gelu", name, over, dx, aux, dx.Size())
}

// packs is a kernel's name, and its shape over elements of 16-bit tensors of one size, in packs of 16 bytes where all of them lie so.
func (s *stream) packs(kernel string, ts ...kernels.Tensor) (string, shape) {
	const pack = 8
	n := ts[0].Size()
	if n%pack == 0 && aligned(pack, ts...) {
		return kernel + "_packed", s.over(n / pack)
	}
	return kernel, s.over(n)
}
