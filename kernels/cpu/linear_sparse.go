package cpu

import (
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
)

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
	case kernels.Sparse24:
		meta := bytes(dw.Meta)
		for i := range values {
			nibble := meta[i/4] >> (i / 2 % 2 * 4)
			values[i] += dense[i/2*4+int(nibble>>(i%2*2)&3)]
		}
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
