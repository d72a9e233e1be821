package ref

import (
	"fmt"

	"ofpeak/kernels"
)

func (s *stream) EmbeddingForward(out, ids, wte, wpe kernels.Tensor) {
	kernels.CheckEmbeddingForward(out, ids, wte, wpe)
	id, o, te, pe, c := ints[int32](ids), read(out), read(wte), read(wpe), wte.Dim(1)
	if !s.inRange(id, wte.Dim(0)) {
		return
	}
	for n := range id {
		token, position := row(te, int(id[n]), c), row(pe, n%ids.Dim(1), c)
		for i, y := 0, row(o, n, c); i < c; i++ {
			y[i] = token[i] + position[i]
		}
	}
	write(out, o)
}

func (s *stream) EmbeddingBackward(dwte, dwpe, dout, ids kernels.Tensor) {
	kernels.CheckEmbeddingBackward(dwte, dwpe, dout, ids)
	id, d, te, pe, c := ints[int32](ids), read(dout), read(dwte), read(dwpe), dwte.Dim(1)
	if !s.inRange(id, dwte.Dim(0)) {
		return
	}
	for n := range id {
		axpy(row(te, int(id[n]), c), 1, row(d, n, c))
		axpy(row(pe, n%ids.Dim(1), c), 1, row(d, n, c))
	}
	write(dwte, te)
	write(dwpe, pe)
}

// inRange reports through the stream an id outside a vocabulary of v.
func (s *stream) inRange(ids []int32, v int) bool {
	for _, id := range ids {
		if id < 0 || int(id) >= v {
			s.fail(fmt.Errorf("ref: token %d outside a vocabulary of %d", id, v))
			return false
		}
	}
	return true
}
