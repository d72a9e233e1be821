package gemm

import "unsafe"

// rowOps converts rows of sums. All slices have the same length.
type rowOps struct {
	// dequantize is dst[i] = scaleA * float32(int32 in acc[i]) * scaleB[i].
	dequantize func(dst, acc []float32, scaleA float32, scaleB []float32)
	addBF16    func(acc []float32, c []uint16)
	addF16     func(acc []float32, c []uint16)
	storeBF16  func(c []uint16, acc []float32)
	storeF16   func(c []uint16, acc []float32)
}

// ones stand for the scales that a product lacks.
var ones = func() (v [maxColumns]float32) {
	for i := range v {
		v[i] = 1
	}
	return v
}()

// finish turns the finished sums of one panel of a slab's rows into elements of C.
func (w *worker) finish(j *job, s, p rect) {
	if j.direct && j.Epilogue == nil {
		return
	}
	base, stride := w.target(j, s, p.row0, p.col0)
	n := p.col1 - p.col0
	for row := p.row0; row < p.row1; row++ {
		acc := unsafe.Slice((*float32)(unsafe.Add(base, 4*(row-p.row0)*stride)), n)
		if !j.eng.float {
			acc = j.dequantize(row, p.col0, acc)
		}
		j.storeFloat(row, p.col0, acc)
	}
}

// storeFloat accumulates, applies the epilogue and converts one row.
func (j *job) storeFloat(row, col int, acc []float32) {
	if j.mask != nil {
		j.mask.add(row, col, acc)
		return
	}
	ops, n := &j.eng.row, len(acc)
	if j.Accumulate && !j.direct {
		j.addOld(row, col, acc)
	}
	if j.Epilogue != nil {
		j.Epilogue.Row(row, col, acc)
	}
	switch j.C.typ {
	case F32:
		if c := j.C.float32s(row, col, n); &c[0] != &acc[0] {
			copy(c, acc)
		}
	case BF16:
		ops.storeBF16(unsafe.Slice((*uint16)(j.C.at(row, col)), n), acc)
	case F16:
		ops.storeF16(unsafe.Slice((*uint16)(j.C.at(row, col)), n), acc)
	}
}

// dequantize turns int32 sums into float32, where they stand or, if nothing has
// to be added, in C.
func (j *job) dequantize(row, col int, acc []float32) []float32 {
	scaleA, scaleB := float32(1), ones[:len(acc)]
	if j.ScaleA != nil {
		scaleA = j.ScaleA[row]
	}
	if j.ScaleB != nil {
		scaleB = j.ScaleB[col : col+len(acc)]
	}
	dst := acc
	if j.C.typ == F32 && !j.Accumulate {
		dst = j.C.float32s(row, col, len(acc))
	}
	j.eng.row.dequantize(dst, acc, scaleA, scaleB)
	return dst
}

// addOld adds what C holds.
func (j *job) addOld(row, col int, acc []float32) {
	p, n := j.C.at(row, col), len(acc)
	switch j.C.typ {
	case F32:
		for i, v := range unsafe.Slice((*float32)(p), n) {
			acc[i] += v
		}
	case BF16:
		j.eng.row.addBF16(acc, unsafe.Slice((*uint16)(p), n))
	case F16:
		j.eng.row.addF16(acc, unsafe.Slice((*uint16)(p), n))
	}
}
