package cpu

import (
	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

type upload struct {
	dst kernels.Tensor
	src any
}

// Upload copies host values (float64, float32, int32, int8 or uint8 backing) to the device, rounded to dst's type. src must keep
// its values until Sync.
func (s *Stream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	enqueue(s, &s.pools.upload, upload{dst, hostData(dst, src)})
}

func (c *upload) run(*Stream) { convert(window(c.dst), c.src, bufferOf(c.dst).t) }

type download struct {
	dst any
	src kernels.Tensor
}

// Download copies device values to the host, widened to dst's type, and returns when they are there. Its error is the stream's,
// which Sync reports too.
func (s *Stream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	enqueue(s, &s.pools.download, download{hostData(src, dst), src})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain()
}

func (c *download) run(*Stream) { convert(c.dst, window(c.src), bufferOf(c.src).t) }

// hostData is the backing slice of a host tensor of t's size.
func hostData(t kernels.Tensor, host *tensor.Dense) any {
	if t.None() || t.Size() != host.DataSize() {
		panic("cpu: the host tensor has another size")
	}
	if host.RequiresIterator() || !host.DataOrder().IsRowMajor() || !host.DataOrder().IsContiguous() {
		panic("cpu: the host tensor is not contiguous and row-major")
	}
	switch host.Dtype() {
	case tensor.Float64:
		return host.Float64s()
	case tensor.Float32:
		return host.Float32s()
	case tensor.Int32:
		return host.Int32s()
	case tensor.Int8:
		return host.Int8s()
	case tensor.Uint8:
		return host.Uint8s()
	}
	panic("cpu: the host tensor's type is none of float64, float32, int32, int8 and uint8")
}

// window is the memory of a tensor as a slice of its type.
func window(t kernels.Tensor) any {
	b, lo, hi := bufferOf(t), t.Off, t.Off+t.Size()
	switch b.t {
	case kernels.F32:
		return b.f32[lo:hi]
	case kernels.F16, kernels.BF16:
		return b.f16[lo:hi]
	case kernels.I32:
		return b.i32[lo:hi]
	case kernels.I8:
		return b.i8[lo:hi]
	}
	return b.u8[lo:hi]
}

// convert copies values between slices of any two types by way of float64, which holds them all exactly. half is what a slice of
// uint16 holds.
func convert(dst, src any, half kernels.DType) {
	buf := make([]float64, block)
	read, n := reader(src, half)
	write := writer(dst, half)
	for lo := 0; lo < n; lo += block {
		chunk := buf[:min(block, n-lo)]
		read(chunk, lo)
		write(chunk, lo)
	}
}

// reader gives a function that reads values from an offset, and their number.
func reader(src any, half kernels.DType) (read func(to []float64, lo int), n int) {
	switch x := src.(type) {
	case []float64:
		return readNumbers(x), len(x)
	case []float32:
		return readNumbers(x), len(x)
	case []int32:
		return readNumbers(x), len(x)
	case []int8:
		return readNumbers(x), len(x)
	case []uint8:
		return readNumbers(x), len(x)
	}
	widen := kernels.F32FromF16
	if half == kernels.BF16 {
		widen = kernels.F32FromBF16
	}
	x := src.([]uint16)
	return func(to []float64, lo int) {
		for i := range to {
			to[i] = float64(widen(x[lo+i]))
		}
	}, len(x)
}

// writer gives a function that writes rounded values from an offset.
func writer(dst any, half kernels.DType) func(from []float64, lo int) {
	switch x := dst.(type) {
	case []float64:
		return writeNumbers(x)
	case []float32:
		return writeNumbers(x)
	case []int32:
		return writeNumbers(x)
	case []int8:
		return writeNumbers(x)
	case []uint8:
		return writeNumbers(x)
	}
	narrow := kernels.F16FromF32
	if half == kernels.BF16 {
		narrow = kernels.BF16FromF32
	}
	x := dst.([]uint16)
	return func(from []float64, lo int) {
		for i, v := range from {
			x[lo+i] = narrow(float32(v))
		}
	}
}

type number interface {
	float64 | float32 | int32 | int8 | uint8
}

func readNumbers[T number](x []T) func(to []float64, lo int) {
	return func(to []float64, lo int) {
		for i := range to {
			to[i] = float64(x[lo+i])
		}
	}
}

func writeNumbers[T number](x []T) func(from []float64, lo int) {
	return func(from []float64, lo int) {
		for i, v := range from {
			x[lo+i] = T(v)
		}
	}
}
