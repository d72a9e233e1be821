package cuda

import (
	"encoding/binary"
	"errors"
	"math"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// Upload goes through page-locked memory, piece by piece, and returns when the device has the values.
func (s *stream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	if src.DataSize() != dst.Size() {
		panic("cuda: Upload: sizes differ")
	}
	s.dev.written(dst)
	t := dst.DType()
	encode := encoder(src.Data(), t)
	s.pieces(dst, func(b []byte, first, n int) error {
		for i := range n {
			encode(b[i*t.Size():], first+i)
		}
		return nil
	}, s.s.CopyToDevice, nil)
}

// Download returns when the values are there.
func (s *stream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	if dst.DataSize() != src.Size() {
		panic("cuda: Download: sizes differ")
	}
	t := src.DType()
	decode := decoder(dst.Data(), t)
	s.pieces(src, nil, func(at driver.Ptr, b []byte) error { return s.s.CopyToHost(b, at) }, func(b []byte, first, n int) {
		for i := range n {
			decode(b[i*t.Size():], first+i)
		}
	})
	return s.Sync()
}

// pieces runs a tensor's elements through the staging memory: before fills it, move copies it one way or the other, after takes from it.
func (s *stream) pieces(t kernels.Tensor, before func(b []byte, first, n int) error, move func(driver.Ptr, []byte) error, after func(b []byte, first, n int)) {
	size, at := t.DType().Size(), address(t)
	step := stagingSize / size
	for first := 0; first < t.Size() && s.err == nil; first += step {
		n := min(step, t.Size()-first)
		b := s.staging[:n*size]
		if before != nil {
			s.fail(before(b, first, n))
		}
		s.fail(errors.Join(move(at+driver.Ptr(first*size), b), s.s.Synchronize()))
		if after != nil && s.err == nil {
			after(b, first, n)
		}
	}
}

// encoder writes element i of host values as type t, rounded to nearest even.
func encoder(host any, t kernels.DType) func(b []byte, i int) {
	le := binary.LittleEndian
	var value func(i int) float64
	switch h := host.(type) {
	case []float64:
		value = func(i int) float64 { return h[i] }
	case []float32:
		value = func(i int) float64 { return float64(h[i]) }
	case []int32:
		if t == kernels.I32 {
			return func(b []byte, i int) { le.PutUint32(b, uint32(h[i])) }
		}
	case []int8:
		if t == kernels.I8 {
			return func(b []byte, i int) { b[0] = byte(h[i]) }
		}
	case []uint8:
		if t == kernels.U8 {
			return func(b []byte, i int) { b[0] = h[i] }
		}
	}
	switch {
	case value == nil:
	case t == kernels.F64:
		return func(b []byte, i int) { le.PutUint64(b, math.Float64bits(value(i))) }
	case t == kernels.F32:
		return func(b []byte, i int) { le.PutUint32(b, math.Float32bits(float32(value(i)))) }
	case t == kernels.F16:
		return func(b []byte, i int) { le.PutUint16(b, kernels.F16FromF32(oddFromF64(value(i)))) }
	case t == kernels.BF16:
		return func(b []byte, i int) { le.PutUint16(b, kernels.BF16FromF32(oddFromF64(value(i)))) }
	case t == kernels.E4M3:
		return func(b []byte, i int) { b[0] = kernels.E4M3FromF32(oddFromF64(value(i))) }
	case t == kernels.E5M2:
		return func(b []byte, i int) { b[0] = kernels.E5M2FromF32(oddFromF64(value(i))) }
	}
	panic("cuda: Upload: unsupported host type")
}

// decoder stores an element of type t as element i of host values.
func decoder(host any, t kernels.DType) func(b []byte, i int) {
	le := binary.LittleEndian
	var value func(b []byte) float64
	switch t {
	case kernels.F64:
		value = func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) }
	case kernels.F32:
		value = func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }
	case kernels.F16:
		value = func(b []byte) float64 { return float64(kernels.F32FromF16(le.Uint16(b))) }
	case kernels.BF16:
		value = func(b []byte) float64 { return float64(kernels.F32FromBF16(le.Uint16(b))) }
	case kernels.E4M3:
		value = func(b []byte) float64 { return float64(kernels.F32FromE4M3(b[0])) }
	case kernels.E5M2:
		value = func(b []byte) float64 { return float64(kernels.F32FromE5M2(b[0])) }
	}
	switch h := host.(type) {
	case []float64:
		if value != nil {
			return func(b []byte, i int) { h[i] = value(b) }
		}
	case []float32:
		if value != nil && t != kernels.F64 {
			return func(b []byte, i int) { h[i] = float32(value(b)) }
		}
	case []int32:
		if t == kernels.I32 {
			return func(b []byte, i int) { h[i] = int32(le.Uint32(b)) }
		}
	case []int8:
		if t == kernels.I8 {
			return func(b []byte, i int) { h[i] = int8(b[0]) }
		}
	case []uint8:
		if t == kernels.U8 {
			return func(b []byte, i int) { h[i] = b[0] }
		}
	}
	panic("cuda: Download: unsupported host type")
}

// oddFromF64 rounds to odd, so that the rounding to 16 bits or fewer that follows is the only one that counts.
func oddFromF64(x float64) float32 {
	f := float32(x)
	if float64(f) == x || x != x {
		return f
	}
	if math.Abs(float64(f)) > math.Abs(x) {
		f = math.Nextafter32(f, 0)
	}
	return math.Float32frombits(math.Float32bits(f) | 1)
}
