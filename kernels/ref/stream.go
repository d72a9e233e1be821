package ref

import (
	"time"

	"ofpeak/kernels"
)

// stream runs each call before it returns, so that order is trivial. It implements kernels.HostStream.
type stream struct{ err error }

// fail keeps the first error for Sync.
func (s *stream) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *stream) Record(e kernels.Event) { e.(*event).at = time.Now() }

func (s *stream) Wait(kernels.Event) {}

func (s *stream) Sync() error {
	err := s.err
	s.err = nil
	return err
}

func (s *stream) Close() error { return nil }

func (s *stream) Do(f func() error) {
	if err := f(); err != nil {
		s.fail(err)
	}
}

func (s *stream) Sum(dst kernels.Tensor, srcs []kernels.Tensor) {
	kernels.CheckSum(dst, srcs)
	sum := make([]float64, dst.Size())
	for _, src := range srcs {
		axpy(sum, 1, read(src))
	}
	write(dst, sum)
}
