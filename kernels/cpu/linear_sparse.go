package cpu

import (
	"bytes"
	"sync"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
)

// masks are the prepared patterns of sparse weights, by where their Meta starts in the buffer.
type masks struct {
	mu    sync.Mutex
	known map[int]*mask
}

// mask is which elements of a sparse weight are stored, as products want it.
type mask struct {
	layout kernels.Layout
	oc, c  int
	meta   []byte // the memory of Meta when the mask was prepared
	pairs  *gemm.Pattern24
	blocks *gemm.PatternBlock
}

// maskOf gives the mask of a sparse weight, prepared at its first use and anew when Meta has changed.
func maskOf(w kernels.Weight) *mask {
	b, size := bufferOf(w.Meta), w.Meta.DType().Size()
	meta := b.raw[w.Meta.Off*size:][:w.Meta.Size()*size]
	b.masks.mu.Lock()
	defer b.masks.mu.Unlock()
	m := b.masks.known[w.Meta.Off]
	if m == nil || m.layout != w.Layout || m.oc != w.OC || m.c != w.C || !bytes.Equal(m.meta, meta) {
		m = &mask{layout: w.Layout, oc: w.OC, c: w.C, meta: bytes.Clone(meta)}
		m.prepare(w)
		if b.masks.known == nil {
			b.masks.known = map[int]*mask{}
		}
		b.masks.known[w.Meta.Off] = m
	}
	return m
}

// prepare panics where Meta is not what Encode writes.
func (m *mask) prepare(w kernels.Weight) {
	var err error
	if w.Format == kernels.Sparse24 {
		m.pairs, err = gemm.NewPattern24(bytesOf(w.Meta), w.OC, w.C)
	} else {
		m.blocks, err = gemm.NewPatternBlock(ints(w.Meta), w.OC, w.C, w.Block)
	}
	if err != nil {
		panic(err)
	}
}

// blockUnit is what block edges must be a multiple of for gemm's sparse products. Other weights are multiplied densely.
const blockUnit = 16

// asDense tells whether a weight's products are dense ones.
func asDense(w kernels.Weight) bool {
	return w.Format == kernels.Dense || w.Format == kernels.BlockSparse && w.Block%blockUnit != 0
}

// denseMatrix is the weight as a matrix (OC,C), written out in scratch if it is not stored so.
func (s *Stream) denseMatrix(w kernels.Weight) gemm.Matrix {
	if w.Format == kernels.Dense {
		return matrixOf(w.Values, w.C)
	}
	n := w.OC * w.C
	s.expand = expansion{w: w, to: values{t: w.Values.DType()}}
	if s.expand.to.t == kernels.F32 {
		s.expand.to.f32 = s.common.take(n)
	} else {
		s.expand.to.f16 = s.takeHalves(n)
	}
	s.share(&s.expand, n)
	return s.expand.to.matrix(w.C)
}

// expansion writes a sparse weight out as a dense matrix of its own type.
type expansion struct {
	w  kernels.Weight
	to values
}

func (c *expansion) part(s *Stream, worker, workers int) {
	width, a := c.w.C, &s.arenas[worker]
	buf, row := a.take(width), a.take(width)
	lo, hi := span(c.w.OC, worker, workers)
	for o := lo; o < hi; o++ {
		expandRow(s.set, c.w, row, buf, o)
		c.to.store(s.set, o*width, row)
	}
}

// addBlocks adds a dense gradient (OC,C) to the stored blocks of dw.
func addBlocks(dw kernels.Weight, dense []float32) {
	stored, edge, keep := floats(dw.Values), dw.Block, dw.KeepBlocks(dw.C)
	for b, column := range ints(dw.Meta) {
		for i := range edge * edge {
			stored[b*edge*edge+i] += dense[(b/keep*edge+i/edge)*dw.C+int(column)*edge+i%edge]
		}
	}
}
