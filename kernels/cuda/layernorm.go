package cuda

import "ofpeak/kernels"

// rowThreads is the size of a block that works on a row of c elements: whole warps, at most 256 threads.
func rowThreads(c int) int { return min(threads, (c+31)/32*32) }

func (s *stream) LayerNormForward(out, mean, rstd, x, gain, bias kernels.Tensor) {
	kernels.CheckLayerNormForward(out, mean, rstd, x, gain, bias)
	t, c := x.DType(), x.Dim(-1)
	if !s.supported(kernels.OpLayerNorm, t, kernels.Dense) {
		return
	}
	s.launch("layernorm", "layernorm_forward_"+suffix(t), shape{gridX: x.Rows(), threads: rowThreads(c), shared: 4 * c}, out, mean, rstd, x, gain, bias, c)
}

func (s *stream) LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual kernels.Tensor) {
	kernels.CheckLayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, residual)
	t, n, c := x.DType(), x.Rows(), x.Dim(-1)
	if !s.supported(kernels.OpLayerNorm, t, kernels.Dense) {
		return
	}
	s.launch("layernorm", "layernorm_parameters_"+suffix(t), shape{gridX: (c + 31) / 32, threads: 32, threadsY: 8}, dgain, dbias, dout, x, mean, rstd, n, c)
	s.launch("layernorm", "layernorm_backward_"+suffix(t), shape{gridX: n, threads: rowThreads(c), shared: 8 * c}, dx, dout, x, mean, rstd, gain, residual, c)
}
