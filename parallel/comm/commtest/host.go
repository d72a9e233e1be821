package commtest

import (
	"sync"

	"ofpeak/kernels"
)

// buffer is host memory of one type.
type buffer struct {
	t    kernels.DType
	data any
	n    int
}

func (b *buffer) DType() kernels.DType { return b.t }
func (b *buffer) Len() int             { return b.n }
func (b *buffer) Free()                {}
func (b *buffer) Data() any            { return b.data }

// NewTensor is n zeroed elements of host memory.
func NewTensor(t kernels.DType, n int) kernels.Tensor {
	b := &buffer{t: t, n: n}
	switch t {
	case kernels.F64:
		b.data = make([]float64, n)
	case kernels.F32:
		b.data = make([]float32, n)
	case kernels.F16, kernels.BF16:
		b.data = make([]uint16, n)
	case kernels.I32:
		b.data = make([]int32, n)
	case kernels.U8:
		b.data = make([]uint8, n)
	default:
		b.data = make([]int8, n)
	}
	return kernels.Of(b, n)
}

// Get is element i, widened.
func Get(t kernels.Tensor, i int) float64 {
	i += t.Off
	switch d := t.Buf.(*buffer).data.(type) {
	case []float64:
		return d[i]
	case []float32:
		return float64(d[i])
	case []uint16:
		if t.DType() == kernels.F16 {
			return float64(kernels.F32FromF16(d[i]))
		}
		return float64(kernels.F32FromBF16(d[i]))
	case []int32:
		return float64(d[i])
	case []uint8:
		return float64(d[i])
	case []int8:
		return float64(d[i])
	}
	panic("no such type")
}

// Set rounds v to element i.
func Set(t kernels.Tensor, i int, v float64) {
	i += t.Off
	switch d := t.Buf.(*buffer).data.(type) {
	case []float64:
		d[i] = v
	case []float32:
		d[i] = float32(v)
	case []uint16:
		if t.DType() == kernels.F16 {
			d[i] = kernels.F16FromF32(float32(v))
		} else {
			d[i] = kernels.BF16FromF32(float32(v))
		}
	case []int32:
		d[i] = int32(v)
	case []uint8:
		d[i] = uint8(v)
	case []int8:
		d[i] = int8(v)
	}
}

// Stream runs Do in order on a goroutine of its own, and sums; it has nothing else of a kernels.HostStream.
type Stream struct {
	kernels.Stream
	queue chan func() error
	idle  sync.WaitGroup
	err   error
}

// NewStream starts a stream.
func NewStream() *Stream {
	s := &Stream{queue: make(chan func() error, 64)}
	go func() {
		for f := range s.queue {
			if err := f(); err != nil && s.err == nil {
				s.err = err
			}
			s.idle.Done()
		}
	}()
	return s
}

// Do enqueues f.
func (s *Stream) Do(f func() error) {
	s.idle.Add(1)
	s.queue <- f
}

// Sync waits for what was enqueued, and returns its first error.
func (s *Stream) Sync() error {
	s.idle.Wait()
	err := s.err
	s.err = nil
	return err
}

// Close ends the goroutine.
func (s *Stream) Close() error {
	close(s.queue)
	return nil
}

// Sum computes dst = Σ srcs in float64.
func (s *Stream) Sum(dst kernels.Tensor, srcs []kernels.Tensor) {
	for i := range dst.Size() {
		var sum float64
		for _, src := range srcs {
			sum += Get(src, i)
		}
		Set(dst, i, sum)
	}
}
