package gemm

import (
	"unsafe"

	"ofpeak/kernels/cpu/isa"
)

// asmEngines returns the variant in assembly of the float types: 16-bit ones are widened while they are packed.
func asmEngines(t Type) []*engine {
	packers := map[Type]packer{F32: packNEON, BF16: goEngines[BF16].a, F16: goEngines[F16].a}
	p, isFloat := packers[t]
	if !isFloat || isa.Best() < isa.NEON {
		return nil
	}
	return []*engine{{
		name: "neon", lanes: neonLanes, rows: neonRows, tiles: []tileFunc{tileNEON(1), tileNEON(2), tileNEON(3)},
		out: 4, a: p, b: p, float: true, row: goRow, sparse: goEngines[t].sparse, wide: p, words: packNEON, gather: gatherGo,
	}}
}

// The tile has four rows, whose units of A fill one register, by up to 24 columns: 24 of the 32 registers hold sums, six B. A vector is
// two registers, as packing wants.
const (
	neonRows  = 4
	neonLanes = 8
)

// tileNEON is the tileFunc of so many vectors. The assembly stores whole vectors only; a narrower tile goes through memory of its own.
func tileNEON(vectors int) tileFunc {
	return func(k, segs int, seg, a, b, c *uint32, ldc, rows, cols, add int, _ *uintptr) {
		rows = min(rows, neonRows)
		width := vectors * neonLanes
		if cols == width {
			sumsNEON(vectors, k, segs, seg, a, b, c, ldc, rows, add)
			return
		}
		var sums [neonRows * 3 * neonLanes]float32
		sumsNEON(vectors, k, segs, seg, a, b, (*uint32)(unsafe.Pointer(&sums)), width, rows, 0)
		for i := range rows {
			out := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(c), 4*i*ldc)), cols)
			for j, v := range sums[i*width:][:cols] {
				if add != 0 {
					out[j] += v
				} else {
					out[j] = v
				}
			}
		}
	}
}

// sumsNEON computes, for i < rows <= 4 and j < width = 8*vectors:
//
//	var acc float32
//	for s := range segs {
//		for u := range k {
//			acc += a[seg[s]/4+u*8+i] * b[(s*k+u)*width+j]
//		}
//	}
//	if add != 0 { c[i*ldc+j] += acc } else { c[i*ldc+j] = acc }
//
//go:noescape
func sumsNEON(vectors, k, segs int, seg, a, b, c *uint32, ldc, rows, add int)

// packNEON packs float32 in Go: rows word by word, columns eight words at a time.
var packNEON = packer{depth: 1, size: 4, unit: unitF32, rows: packRows8, cols: packCols8}

// packRows8 is packer.rows of 32-bit units.
func packRows8(dst *uint32, stride int, rows *[8]*byte, n int) {
	stride /= 4
	out := unsafe.Slice(dst, (8*n-1)*stride+8)
	for l, row := range rows {
		for u, v := range unsafe.Slice((*uint32)(unsafe.Pointer(row)), 8*n) {
			out[u*stride+l] = v
		}
	}
}

// packCols8 is packer.cols of 32-bit units.
func packCols8(dst *uint32, stride, apart, per, next int, src *byte, ld, n, w int) {
	for u := range n {
		for j := range w {
			to := u*stride + j/2/per*next + j/2%per*64 + j%2*apart
			*(*[8]uint32)(unsafe.Add(unsafe.Pointer(dst), to)) = *(*[8]uint32)(unsafe.Add(unsafe.Pointer(src), u*ld+32*j))
		}
	}
}
