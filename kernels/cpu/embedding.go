package cpu

import (
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type embeddingForward struct {
	out, ids, wte, wpe kernels.Tensor
	set                *vec.Set
}

// EmbeddingForward: out[b·T+t,:] = wte[ids[b,t],:] + wpe[t,:]. out (N,C), ids int32 (B,T), wte (V,C), wpe (T,C).
func (s *Stream) EmbeddingForward(out, ids, wte, wpe kernels.Tensor) {
	kernels.CheckEmbeddingForward(out, ids, wte, wpe)
	enqueue(s, &s.pools.embeddingForward, embeddingForward{out, ids, wte, wpe, s.dev.chosen[kernels.OpEmbedding].set})
}

func (c *embeddingForward) run(s *Stream) { s.share(c, c.out.Size()) }

func (c *embeddingForward) part(s *Stream, worker, workers int) {
	out, wte, wpe, ids := valuesOf(c.out), valuesOf(c.wte), valuesOf(c.wpe), ints(c.ids)
	length, width := c.ids.Dim(1), c.wte.Dim(1)
	a := &s.arenas[worker]
	tBuf, pBuf, sum := a.take(width), a.take(width), a.take(width)
	lo, hi := span(len(ids), worker, workers)
	for i := lo; i < hi; i++ {
		token := wte.load(c.set, tokenID(ids[i], c.wte.Dim(0))*width, width, tBuf)
		position := wpe.load(c.set, i%length*width, width, pBuf)
		dst := out.dest(i*width, width, sum)
		c.set.Add(dst, token, position)
		out.store(c.set, i*width, dst)
	}
}

func tokenID(id int32, vocabulary int) int {
	if id < 0 || int(id) >= vocabulary {
		panic("a token id is outside the vocabulary")
	}
	return int(id)
}

type embeddingBackward struct {
	dwte, dwpe, dout, ids kernels.Tensor
	set                   *vec.Set
}

// EmbeddingBackward: dwte[ids[b,t],:] += dout[b·T+t,:], dwpe[t,:] += dout[b·T+t,:], in the order of the tokens.
func (s *Stream) EmbeddingBackward(dwte, dwpe, dout, ids kernels.Tensor) {
	kernels.CheckEmbeddingBackward(dwte, dwpe, dout, ids)
	enqueue(s, &s.pools.embeddingBackward, embeddingBackward{dwte, dwpe, dout, ids, s.dev.chosen[kernels.OpEmbedding].set})
}

func (c *embeddingBackward) run(s *Stream) { s.share(c, c.dout.Size()) }

// part takes a range of channels of all tokens: workers never add to the same element, and each adds in the tokens' order.
func (c *embeddingBackward) part(s *Stream, worker, workers int) {
	dwte, dwpe, dout, ids := floats(c.dwte), floats(c.dwpe), valuesOf(c.dout), ints(c.ids)
	length, width := c.ids.Dim(1), c.dwte.Dim(1)
	lo, hi := spanLines(width, worker, workers)
	buf := s.arenas[worker].take(hi - lo)
	for i, id := range ids {
		row := dout.load(c.set, i*width+lo, hi-lo, buf)
		token, position := tokenID(id, c.dwte.Dim(0))*width, i%length*width
		c.set.Add(dwte[token+lo:token+hi], dwte[token+lo:token+hi], row)
		c.set.Add(dwpe[position+lo:position+hi], dwpe[position+lo:position+hi], row)
	}
}
