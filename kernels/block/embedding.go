package block

import "ofpeak/kernels"

// embedding turns token ids into the first block's input. Every tensor-parallel rank holds it whole.
type embedding struct {
	wte, wpe, dwte, dwpe kernels.Tensor // (V,C), (T,C)
}

// forward embeds all tokens, and keeps those of a.In.
func (e *embedding) forward(s kernels.Stream, c Config, a *Acts, tp Region) {
	all := a.In
	if c.Sequence {
		all = tp.Partial(a.In)
	}
	if c.CP == 1 {
		s.EmbeddingForward(all, a.IDs, e.wte, e.wpe)
	} else {
		c.eachChunk(all, a.IDs, func(out, ids kernels.Tensor, at Range) {
			s.EmbeddingForward(out, ids, e.wte, e.wpe.Slice(at.Lo, at.Hi))
		})
	}
	if c.Sequence {
		for i := range c.runs() {
			s.Copy(piece(a.In, i, c.runs(), tp), c.own(all, i, tp))
		}
	}
}

// backward takes the gradient of all tokens.
func (e *embedding) backward(s kernels.Stream, c Config, d kernels.Tensor, a *Acts) {
	if c.CP == 1 {
		s.EmbeddingBackward(e.dwte, e.dwpe, d, a.IDs)
		return
	}
	c.eachChunk(d, a.IDs, func(dout, ids kernels.Tensor, at Range) {
		s.EmbeddingBackward(e.dwte, e.dwpe.Slice(at.Lo, at.Hi), dout, ids)
	})
}

// eachChunk calls f with the rows of x (N,C) and ids that have the same positions of all sequences, and these positions, for both chunks of a rank.
func (c Config) eachChunk(x, ids kernels.Tensor, f func(x, ids kernels.Tensor, at Range)) {
	_, length := c.Grid()
	n := c.Batch * length
	for i := range 2 {
		lo := c.chunk(i) * length
		f(x.Slice(i*n, (i+1)*n), ids.Slice(i*c.Batch, (i+1)*c.Batch), Range{lo, lo + length})
	}
}
