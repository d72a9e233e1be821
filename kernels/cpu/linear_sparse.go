package cpu

import (
	"bytes"
	"sync"
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
)

// patterns are the prepared masks of 2:4 weights, by where their Meta starts in the buffer.
type patterns struct {
	mu    sync.Mutex
	known map[int]pattern
}

type pattern struct {
	oc, c int
	meta  []uint8 // as it was when the pattern was prepared
	mask  *gemm.Pattern24
}

// patternOf gives the prepared mask of a 2:4 weight, made at its first use and anew when its Meta has changed.
func patternOf(w kernels.Weight) *gemm.Pattern24 {
	p, meta := &bufferOf(w.Meta).patterns, bytesOf(w.Meta)
	p.mu.Lock()
	defer p.mu.Unlock()
	if have, ok := p.known[w.Meta.Off]; ok && have.oc == w.OC && have.c == w.C && bytes.Equal(have.meta, meta) {
		return have.mask
	}
	mask, err := gemm.NewPattern24(meta, w.OC, w.C)
	if err != nil {
		panic(err)
	}
	if p.known == nil {
		p.known = map[int]pattern{}
	}
	p.known[w.Meta.Off] = pattern{w.OC, w.C, bytes.Clone(meta), mask}
	return mask
}

// denseWeight is the weight as a matrix (OC,C) for products.
func (s *Stream) denseWeight(w kernels.Weight) gemm.Matrix {
	if w.Format == kernels.Dense {
		return matrixOf(w.Values, w.C)
	}
	s.expand = expansion{w: w, t: w.Values.DType()}
	n := w.OC * w.C
	if s.expand.t == kernels.F32 {
		s.expand.f32 = s.common.take(n)
		s.share(&s.expand, n)
		return gemm.NewF32(s.expand.f32, w.C)
	}
	s.expand.f16 = halves(s.common.take((n+1)/2), n)
	s.share(&s.expand, n)
	if s.expand.t == kernels.F16 {
		return gemm.NewF16(s.expand.f16, w.C)
	}
	return gemm.NewBF16(s.expand.f16, w.C)
}

// expansion writes a sparse weight out as a dense matrix of its own type.
type expansion struct {
	w   kernels.Weight
	t   kernels.DType
	f32 []float32
	f16 []uint16
}

func (c *expansion) part(s *Stream, worker, workers int) {
	dst, width := values{t: c.t, f32: c.f32, f16: c.f16}, c.w.C
	a := &s.arenas[worker]
	buf, row := a.take(width), a.take(width)
	one := decode{w: c.w}
	lo, hi := span(c.w.OC, worker, workers)
	for o := lo; o < hi; o++ {
		one.row(s.set, row, buf, o)
		dst.store(s.set, o*width, row)
	}
}

// addStored adds a dense gradient (OC,C) to dw at the positions that it stores.
func addStored(dw kernels.Weight, dense []float32) {
	values, width := floats(dw.Values), dw.C
	switch dw.Format {
	case kernels.BlockSparse:
		edge, keep := dw.Block, dw.KeepBlocks(width)
		for b, column := range ints(dw.Meta) {
			for i := range edge * edge {
				values[b*edge*edge+i] += dense[(b/keep*edge+i/edge)*width+int(column)*edge+i%edge]
			}
		}
	}
}

func halves(x []float32, n int) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), n)
}
