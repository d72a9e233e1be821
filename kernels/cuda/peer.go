package cuda

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// Device is the stream's.
func (s *stream) Device() kernels.Device { return s.dev }

// Below is what the stream is on the driver, for libraries that enqueue there.
func (s *stream) Below() (driver.Context, driver.Stream) { return s.dev.ctx, s.s }

// Address is where a tensor of this device starts, for whoever may write there.
func (s *stream) Address(t kernels.Tensor) driver.Ptr {
	s.dev.written(t)
	return address(t)
}

// Guard makes every later Sync fail with what ended says, unless that is nil: the work of a library that is cut short leaves no error on the stream.
func (s *stream) Guard(ended func() error) { s.ended = ended }

// Err is the first failure since the last Sync that is known by now.
func (s *stream) Err() error { return s.err }

// Fail makes err the stream's failure, unless there is one.
func (s *stream) Fail(err error) { s.fail(err) }

// CopyFrom copies from this device or another one of its driver.
func (s *stream) CopyFrom(dst, src kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	s.dev.written(dst)
	to, from, n := address(dst), address(src), int64(dst.Size()*dst.DType().Size())
	owner := src.Buf.(*buffer).dev
	if owner == s.dev {
		s.fail(s.s.Copy(to, from, n))
		return
	}
	s.fail(s.dev.reach(owner))
	s.fail(s.s.CopyPeer(to, from, owner.ctx, n))
}

// reach lets copies from another device go the short way, where there is one.
func (d *Device) reach(other *Device) error {
	if d.reached[other] {
		return nil
	}
	d.reached[other] = true
	err := d.ctx.EnablePeer(other.ctx)
	if err == nil || errors.Is(err, driver.ErrPeerUnsupported) || errors.Is(err, driver.ErrPeerEnabled) {
		return nil
	}
	return fmt.Errorf("cuda: device %d reaching device %d: %w", d.ctx.Device(), other.ctx.Device(), err)
}

// SumParts sums the first dim.
func (s *stream) SumParts(dst, parts kernels.Tensor) {
	kernels.CheckSumParts(dst, parts)
	s.dev.written(dst)
	t, p, n := dst.DType(), parts.Dim(0), parts.Dim(1)
	if suffix(t) == "" {
		s.fail(fmt.Errorf("%w: sums of %s between CUDA devices", kernels.ErrUnsupported, t))
		return
	}
	pack := 16 / t.Size()
	if n%pack == 0 && aligned(pack, dst, parts) {
		s.launch("reduce", "sum_parts_"+suffix(t)+"_packed", s.over(n/pack), dst, parts, p, n)
		return
	}
	s.launch("reduce", "sum_parts_"+suffix(t), s.over(n), dst, parts, p, n)
}
