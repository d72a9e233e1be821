package block

import "ofpeak/kernels"

// embedding turns token ids into the first block's input. Every tensor-parallel rank holds it whole.
type embedding struct {
	wte, wpe, dwte, dwpe kernels.Tensor // (V,C), (T,C)
}

func (e *embedding) forward(s kernels.Stream, out, ids kernels.Tensor) {
	s.EmbeddingForward(out, ids, e.wte, e.wpe)
}

func (e *embedding) backward(s kernels.Stream, d, ids kernels.Tensor) {
	s.EmbeddingBackward(e.dwte, e.dwpe, d, ids)
}
