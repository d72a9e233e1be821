package cuda

import "ofpeak/kernels"

// product is the shape of C(m,n) = A·B over k by one of linear's variants, and the source file and kernel prefix that it is in. Tensor cores take 16-bit types only; float32
// operands go to the variant that keeps their precision.
func (s *stream) product(t kernels.DType, m, n int) (sh shape, file, prefix string) {
	if t == kernels.F32 || s.dev.selected[kernels.OpLinear] == "fma" {
		const tile = 64
		return shape{gridX: (n + tile - 1) / tile, gridY: (m + tile - 1) / tile, threads: 256}, "linear_fma", "fma_"
	}
	const tile, stages = 128, 3 * 2 * 2 * 128 * (32 + 8) // linear_mma.cu: stages of two tiles of 2-byte elements
	return shape{gridX: (n + tile - 1) / tile, gridY: (m + tile - 1) / tile, threads: 256, shared: stages}, "linear_mma", "mma_"
}

func (s *stream) LinearForward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearForward(out, x, w, e)
	t, n := x.DType(), x.Rows()
	if !s.supported(kernels.OpLinear, t, w.Format) {
		return
	}
	sh, file, prefix := s.product(t, n, w.OC)
	s.launch(file, prefix+"forward_"+suffix(t), sh, out, x, w.Values, e.Bias, e.Aux, e.Residual, n, w.OC, w.C)
}

func (s *stream) LinearBackwardInput(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) {
	kernels.CheckLinearBackwardInput(dx, dout, w, e)
	t, n := dout.DType(), dout.Rows()
	if !s.supported(kernels.OpLinear, t, w.Format) {
		return
	}
	sh, file, prefix := s.product(t, n, w.C)
	s.launch(file, prefix+"input_"+suffix(t), sh, dx, dout, w.Values, e.Aux, n, w.C, w.OC)
}

func (s *stream) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	kernels.CheckLinearBackwardWeight(dw, dbias, dout, x)
	t, n := x.DType(), x.Rows()
	if !s.supported(kernels.OpLinear, t, dw.Format) {
		return
	}
	sh, file, prefix := s.product(t, dw.OC, dw.C)
	s.launch(file, prefix+"weight_"+suffix(t), sh, dw.Values, dout, x, dw.OC, dw.C, n)
	if !dbias.None() {
		s.launch("linear_fma", "bias_"+suffix(t), shape{gridX: (dw.OC + 31) / 32, threads: 32, threadsY: 8}, dbias, dout, n, dw.OC)
	}
}
