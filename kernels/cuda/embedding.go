package cuda

import "ofpeak/kernels"

func (s *stream) EmbeddingForward(out, ids, wte, wpe kernels.Tensor) {
	kernels.CheckEmbeddingForward(out, ids, wte, wpe)
	t, c := out.DType(), wte.Dim(1)
	if !s.supported(kernels.OpEmbedding, t, kernels.Dense) {
		return
	}
	s.launch("embedding", "embedding_forward_"+suffix(t), shape{gridX: ids.Size(), threads: rowThreads(c)}, out, ids, wte, wpe, s.wrong(), ids.Dim(1), wte.Dim(0), c)
}

func (s *stream) EmbeddingBackward(dwte, dwpe, dout, ids kernels.Tensor) {
	kernels.CheckEmbeddingBackward(dwte, dwpe, dout, ids)
	t, b, length, c := dout.DType(), ids.Dim(0), ids.Dim(1), dwte.Dim(1)
	if !s.supported(kernels.OpEmbedding, t, kernels.Dense) {
		return
	}
	s.launch("embedding", "embedding_tokens_"+suffix(t), shape{gridX: ids.Size(), threads: rowThreads(c)}, dwte, dout, ids, s.wrong(), ids.Size(), dwte.Dim(0), c)
	s.launch("embedding", "embedding_positions_"+suffix(t), shape{gridX: length, threads: rowThreads(c)}, dwpe, dout, b, length, c)
}
