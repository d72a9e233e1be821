package cpu

import (
	"sync"
	"unsafe"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// memory is a run of elements of any type, of the host or of a buffer.
type memory struct {
	t    kernels.DType
	base unsafe.Pointer
	n    int
}

func memoryOf[T any](t kernels.DType, x []T) memory {
	return memory{t, unsafe.Pointer(unsafe.SliceData(x)), len(x)}
}

// window is the memory of a tensor.
func window(t kernels.Tensor) memory {
	b := bufferOf(t)
	size := b.t.Size()
	return memory{b.t, unsafe.Pointer(unsafe.SliceData(b.raw[t.Off*size : (t.Off+t.Size())*size])), t.Size()}
}

// hostMemory is the backing of a host tensor of t's size.
func hostMemory(t kernels.Tensor, host *tensor.Dense) memory {
	if t.None() || t.Size() != host.DataSize() {
		panic("cpu: the host tensor has another size")
	}
	if host.RequiresIterator() || !host.DataOrder().IsRowMajor() || !host.DataOrder().IsContiguous() {
		panic("cpu: the host tensor is not contiguous and row-major")
	}
	switch host.Dtype() {
	case tensor.Float64:
		return memoryOf(kernels.F64, host.Float64s())
	case tensor.Float32:
		return memoryOf(kernels.F32, host.Float32s())
	case tensor.Int32:
		return memoryOf(kernels.I32, host.Int32s())
	case tensor.Int8:
		return memoryOf(kernels.I8, host.Int8s())
	case tensor.Uint8:
		return memoryOf(kernels.U8, host.Uint8s())
	}
	panic("cpu: the host tensor's type is none of float64, float32, int32, int8 and uint8")
}

type upload struct {
	dst kernels.Tensor
	src memory
}

// Upload copies host values (float64, float32, int32, int8 or uint8 backing) to the device, rounded to dst's type. src must keep
// its values until Sync.
func (s *Stream) Upload(dst kernels.Tensor, src *tensor.Dense) {
	enqueue(s, &s.pools.upload, upload{dst, hostMemory(dst, src)})
}

func (c *upload) run(*Stream) { convert(window(c.dst), c.src) }

type download struct {
	dst memory
	src kernels.Tensor
}

// Download copies device values to the host, widened to dst's type, and returns when they are there. Its error is the stream's,
// which Sync reports too.
func (s *Stream) Download(dst *tensor.Dense, src kernels.Tensor) error {
	enqueue(s, &s.pools.download, download{hostMemory(src, dst), src})
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain()
}

func (c *download) run(*Stream) { convert(c.dst, window(c.src)) }

// exact are blocks of float64, which hold the values of every type.
var exact = sync.Pool{New: func() any { return new([block]float64) }}

// convert copies values, rounded where the types differ.
func convert(dst, src memory) {
	if dst.t == src.t {
		size := src.t.Size()
		copy(unsafe.Slice((*byte)(dst.base), dst.n*size), unsafe.Slice((*byte)(src.base), src.n*size))
		return
	}
	buf := exact.Get().(*[block]float64)
	for lo := 0; lo < src.n; lo += block {
		run := buf[:min(block, src.n-lo)]
		src.read(run, lo)
		dst.write(run, lo)
	}
	exact.Put(buf)
}

// slice is n elements of m from lo on.
func slice[T any](m memory, lo, n int) []T { return unsafe.Slice((*T)(m.base), m.n)[lo : lo+n] }

// read widens elements from lo on.
func (m memory) read(to []float64, lo int) {
	n := len(to)
	switch m.t {
	case kernels.F64:
		copy(to, slice[float64](m, lo, n))
	case kernels.F32:
		numbers(to, slice[float32](m, lo, n))
	case kernels.I32:
		numbers(to, slice[int32](m, lo, n))
	case kernels.I8:
		numbers(to, slice[int8](m, lo, n))
	case kernels.U8:
		numbers(to, slice[uint8](m, lo, n))
	case kernels.F16:
		for i, h := range slice[uint16](m, lo, n) {
			to[i] = float64(kernels.F32FromF16(h))
		}
	case kernels.E4M3, kernels.E5M2:
		widen8(m.t, to, slice[uint8](m, lo, n))
	default:
		for i, h := range slice[uint16](m, lo, n) {
			to[i] = float64(kernels.F32FromBF16(h))
		}
	}
}

// write rounds elements from lo on.
func (m memory) write(from []float64, lo int) {
	n := len(from)
	switch m.t {
	case kernels.F64:
		copy(slice[float64](m, lo, n), from)
	case kernels.F32:
		numbers(slice[float32](m, lo, n), from)
	case kernels.I32:
		numbers(slice[int32](m, lo, n), from)
	case kernels.I8:
		numbers(slice[int8](m, lo, n), from)
	case kernels.U8:
		numbers(slice[uint8](m, lo, n), from)
	case kernels.F16:
		to := slice[uint16](m, lo, n)
		for i, v := range from {
			to[i] = kernels.F16FromF32(float32(v))
		}
	case kernels.E4M3, kernels.E5M2:
		narrow8(m.t, slice[uint8](m, lo, n), from)
	default:
		to := slice[uint16](m, lo, n)
		for i, v := range from {
			to[i] = kernels.BF16FromF32(float32(v))
		}
	}
}

type number interface {
	float64 | float32 | int32 | int8 | uint8
}

func numbers[D, S number](dst []D, src []S) {
	for i, v := range src {
		dst[i] = D(v)
	}
}
