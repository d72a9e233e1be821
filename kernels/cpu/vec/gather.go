package vec

import "unsafe"

// Gather is for i < rows, j < n { dst[i*pitch+j] = x[i*stride+j] }, for short rows that lie far apart.
func (s *Set) Gather(dst []float32, pitch int, x []float32, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.gatherF32, copyRow)
}

// GatherF16 is Gather of binary16 values.
func (s *Set) GatherF16(dst []float32, pitch int, x []uint16, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.gatherF16, fromF16)
}

// GatherBF16 is Gather of bfloat16 values.
func (s *Set) GatherBF16(dst []float32, pitch int, x []uint16, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.gatherBF16, fromBF16)
}

// Scatter is Gather where the rows of dst lie far apart.
func (s *Set) Scatter(dst []float32, pitch int, x []float32, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.scatterF32, copyRow)
}

// ScatterF16 is Scatter with the rounding of ToF16.
func (s *Set) ScatterF16(dst []uint16, pitch int, x []float32, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.scatterF16, toF16)
}

// ScatterBF16 is Scatter with the rounding of ToBF16.
func (s *Set) ScatterBF16(dst []uint16, pitch int, x []float32, stride, rows, n int) {
	moveRows(dst, pitch, x, stride, rows, n, s.f.scatterBF16, toBF16)
}

// moveRows leaves what does not fill blocks of 16 columns to rest.
func moveRows[D, S float32 | uint16](dst []D, pitch int, x []S, stride, rows, n int,
	blocks func(dst *D, pitch int, src *S, stride, rows, n int), rest func(dst []D, x []S)) {
	if rows == 0 || n == 0 {
		return
	}
	_, _ = dst[(rows-1)*pitch+n-1], x[(rows-1)*stride+n-1]
	whole := n / 16 * 16
	if whole > 0 {
		blocks(&dst[0], pitch, &x[0], stride, rows, whole)
	}
	for i := 0; i < rows && whole < n; i++ {
		rest(dst[i*pitch+whole:i*pitch+n], x[i*stride+whole:])
	}
}

// GatherHalves is for i < rows, j < n { dst[i*pitch+j] = x[i*stride+j] } of 16-bit values.
func (s *Set) GatherHalves(dst []uint16, pitch int, x []uint16, stride, rows, n int) {
	if rows > 0 && n > 0 && pitch%2 == 0 && stride%2 == 0 && n%32 == 0 {
		_, _ = dst[(rows-1)*pitch+n-1], x[(rows-1)*stride+n-1]
		s.f.gatherF32((*float32)(unsafe.Pointer(&dst[0])), pitch/2, (*float32)(unsafe.Pointer(&x[0])), stride/2, rows, n/2)
		return
	}
	for i := range rows {
		copy(dst[i*pitch:i*pitch+n], x[i*stride:])
	}
}

// Weave makes elements of the 16-bit values of two rows each: for i < (rows+1)/2, j < n { dst[i*pitch+j] = the bits x[2*i*stride+j] |
// x[(2*i+1)*stride+j]<<16 }. A last row without a second is paired with zeros.
func (s *Set) Weave(dst []float32, pitch int, x []uint16, stride, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	_, _ = dst[(rows-1)/2*pitch+n-1], x[(rows-1)*stride+n-1]
	whole := n / 16 * 16
	if rows < 2 {
		whole = 0
	}
	if whole > 0 {
		s.f.weave(&dst[0], pitch, &x[0], stride, rows/2, whole)
	}
	for i := 0; i < rows/2 && whole < n; i++ {
		weaveRow(dst[i*pitch+whole:i*pitch+n], x[2*i*stride+whole:], x[(2*i+1)*stride+whole:])
	}
	if rows%2 > 0 {
		weaveRow(dst[rows/2*pitch:][:n], x[(rows-1)*stride:], nil)
	}
}
