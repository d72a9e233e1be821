package cuda

import "ofpeak/kernels"

func (s *stream) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckMSE(loss, dx, x, target, n, state)
	t := x.DType()
	if !s.supported(kernels.OpLoss, t, kernels.Dense) {
		return
	}
	sh := s.over(x.Size())
	sh.gridX = min(sh.gridX, maxParts)
	s.launch("loss", "mse_"+suffix(t), sh, s.scratch, dx, x, target, state, float32(1/float64(n)), x.Size())
	s.addParts(loss, sh.gridX)
}

func (s *stream) CrossEntropy(loss, dlogits, logits, targets kernels.Tensor, n int, state kernels.Tensor) {
	kernels.CheckCrossEntropy(loss, dlogits, logits, targets, n, state)
	t, rows, v := logits.DType(), logits.Rows(), logits.Dim(-1)
	if !s.supported(kernels.OpLoss, t, kernels.Dense) {
		return
	}
	sh := shape{gridX: min(rows, maxParts), threads: rowThreads(v)}
	s.launch("loss", "cross_entropy_"+suffix(t), sh, s.scratch, dlogits, logits, targets, state, float32(1/float64(n)), s.wrong(), rows, v)
	s.addParts(loss, sh.gridX)
}

// addParts adds the blocks' shares to a loss.
func (s *stream) addParts(loss kernels.Tensor, parts int) {
	s.launch("loss", "add_parts", shape{gridX: 1, threads: threads}, loss, s.scratch, parts)
}
