package ref

import (
	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

func (s *stream) Cast(dst, src kernels.Tensor) {
	kernels.CheckCast(dst, src)
	write(dst, read(src))
}

func (s *stream) Fill(dst kernels.Tensor, v float64) {
	kernels.CheckFill(dst)
	switch dst.DType() {
	case kernels.I32:
		fill(ints[int32](dst), int32(v))
	case kernels.I8:
		fill(ints[int8](dst), int8(v))
	case kernels.U8:
		fill(ints[uint8](dst), uint8(v))
	default:
		values := make([]float64, dst.Size())
		fill(values, v)
		write(dst, values)
	}
}

func fill[E any](d []E, v E) {
	for i := range d {
		d[i] = v
	}
}

func (s *stream) Copy(dst, src kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	lo, from, n := dst.Off, src.Off, dst.Size()
	switch d := data(dst).(type) {
	case []float64:
		copy(d[lo:lo+n], data(src).([]float64)[from:])
	case []float32:
		copy(d[lo:lo+n], data(src).([]float32)[from:])
	case []uint16:
		copy(d[lo:lo+n], data(src).([]uint16)[from:])
	case []int32:
		copy(d[lo:lo+n], data(src).([]int32)[from:])
	case []int8:
		copy(d[lo:lo+n], data(src).([]int8)[from:])
	case []uint8:
		copy(d[lo:lo+n], data(src).([]uint8)[from:])
	}
}

func (s *stream) CopyColumns(dst, src kernels.Tensor, to, from, n int) {
	kernels.CheckCopyColumns(dst, src, to, from, n)
	d, x := read(dst), read(src)
	for i := range src.Rows() {
		copy(row(d, i, dst.Dim(-1))[to:to+n], row(x, i, src.Dim(-1))[from:])
	}
	write(dst, d)
}

func (s *stream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	if src.DataSize() != dst.Size() {
		panic("ref: Upload: sizes differ")
	}
	switch h := src.Data().(type) {
	case []float64:
		write(dst, h)
	case []float32:
		wide := make([]float64, len(h))
		for i, v := range h {
			wide[i] = float64(v)
		}
		write(dst, wide)
	case []int32:
		copy(ints[int32](dst), h)
	case []int8:
		copy(ints[int8](dst), h)
	case []uint8:
		copy(ints[uint8](dst), h)
	default:
		panic("ref: Upload: unsupported host type")
	}
}

func (s *stream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	if dst.DataSize() != src.Size() {
		panic("ref: Download: sizes differ")
	}
	switch h := dst.Data().(type) {
	case []float64:
		copy(h, read(src))
	case []float32:
		if src.DType() == kernels.F64 {
			panic("ref: Download: host type narrower than the device's")
		}
		for i, v := range read(src) {
			h[i] = float32(v)
		}
	case []int32:
		copy(h, ints[int32](src))
	case []int8:
		copy(h, ints[int8](src))
	case []uint8:
		copy(h, ints[uint8](src))
	default:
		panic("ref: Download: unsupported host type")
	}
	return s.Sync()
}
