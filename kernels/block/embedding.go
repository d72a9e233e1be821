package block

import "ofpeak/kernels"

// embedding turns token ids into the first block's input. Every tensor-parallel rank holds it whole.
type embedding struct {
	wte, wpe, dwte, dwpe kernels.Tensor // (V,C), (T,C)
}

// forward embeds all tokens, and keeps those of out.
func (e *embedding) forward(s kernels.Stream, c Config, out, ids kernels.Tensor, tp Region) {
	if !c.Sequence {
		s.EmbeddingForward(out, ids, e.wte, e.wpe)
		return
	}
	all := tp.Partial(out)
	s.EmbeddingForward(all, ids, e.wte, e.wpe)
	s.Copy(out, c.own(all))
}

func (e *embedding) backward(s kernels.Stream, d, ids kernels.Tensor) {
	s.EmbeddingBackward(e.dwte, e.dwpe, d, ids)
}
