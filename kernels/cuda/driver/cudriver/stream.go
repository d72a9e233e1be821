//go:build gpu

package cudriver

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// stream implements driver.Stream.
type stream struct {
	context   *context
	handle    cu.Stream
	capturing bool // a capture began here
}

func (c *context) NewStream() (driver.Stream, error) {
	s := &stream{context: c}
	err := c.do("NewStream", func() (err error) {
		s.handle, err = cu.MakeStream(cu.NonBlocking)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.give(s, "stream")
	return s, nil
}

// do runs a call on the stream, which must be open: CUDA takes a destroyed stream's handle for a pointer.
func (s *stream) do(call string, fn func() error) error {
	if err := s.context.holds(call, s); err != nil {
		return err
	}
	return s.context.do(call, fn)
}

// pinned checks host memory that is to be copied.
func (s *stream) pinned(call string, b []byte) error {
	if len(b) > 0 && !s.context.driver.pinned.holds(b) {
		return fmt.Errorf("cudriver: %s: the host memory is not page-locked: %w", call, driver.ErrInvalidValue)
	}
	return nil
}

func (s *stream) CopyToDevice(dst driver.Ptr, src []byte) error {
	if err := s.pinned("CopyToDevice", src); err != nil {
		return err
	}
	return s.do("CopyToDevice", func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(unsafe.SliceData(src)), int64(len(src)), s.handle)
	})
}

func (s *stream) CopyToHost(dst []byte, src driver.Ptr) error {
	if err := s.pinned("CopyToHost", dst); err != nil {
		return err
	}
	return s.do("CopyToHost", func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(unsafe.SliceData(dst)), cu.DevicePtr(src), int64(len(dst)), s.handle)
	})
}

// Copy goes by cuMemcpyAsync, which tells from the addresses what devices they are on.
func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	return s.do("Copy", func() error { return cu.MemcpyAsync(cu.DevicePtr(dst), cu.DevicePtr(src), n, s.handle) })
}

// CopyPeer names both contexts, which CUDA asks for where neither reaches the other.
func (s *stream) CopyPeer(dst, src driver.Ptr, from driver.Context, n int64) error {
	peer, ok := from.(*context)
	if !ok {
		return fmt.Errorf("cudriver: CopyPeer: a context of another driver: %w", driver.ErrInvalidContext)
	}
	return s.do("CopyPeer", func() error {
		return cu.MemcpyPeerAsync(cu.DevicePtr(dst), s.context.handle, cu.DevicePtr(src), peer.handle, n, s.handle)
	})
}

func (s *stream) Memset8(dst driver.Ptr, v uint8, n int64) error {
	return s.do("Memset8", func() error { return cu.MemsetD8Async(cu.DevicePtr(dst), v, n, s.handle) })
}

func (s *stream) Memset32(dst driver.Ptr, v uint32, n int64) error {
	return s.do("Memset32", func() error { return cu.MemsetD32Async(cu.DevicePtr(dst), uint(v), n, s.handle) })
}

func (s *stream) Launch(f driver.Function, l driver.Launch, params ...uint64) error {
	fn, ok := f.(*function)
	if !ok || fn.module.context != s.context {
		return fmt.Errorf("cudriver: Launch: a kernel of another context: %w", driver.ErrInvalidHandle)
	}
	if err := s.context.holds("Launch", fn.module); err != nil {
		return err
	}
	if len(params) != fn.parameters {
		return fmt.Errorf("cudriver: Launch: %s takes %d parameters, not %d: %w", fn.info.Name, fn.parameters, len(params), driver.ErrInvalidValue)
	}
	cells := make([]unsafe.Pointer, len(params))
	for i := range params {
		cells[i] = unsafe.Pointer(&params[i])
	}
	err := s.do("Launch", func() error {
		return fn.handle.Launch(l.Grid.X, l.Grid.Y, l.Grid.Z, l.Block.X, l.Block.Y, l.Block.Z, l.Shared, s.handle, cells)
	})
	if err != nil {
		return fmt.Errorf("%w: kernel %s, grid %v, block %v, %d bytes of dynamic shared memory", err, fn.info.Name, l.Grid, l.Block, l.Shared)
	}
	return nil
}

func (s *stream) Record(e driver.Event) error {
	ev, ok := e.(*event)
	if !ok || ev.context != s.context {
		return fmt.Errorf("cudriver: Record: an event of another context: %w", driver.ErrInvalidHandle)
	}
	if err := ev.context.holds("Record", ev); err != nil {
		return err
	}
	return s.do("Record", func() error { return ev.handle.Record(s.handle) })
}

// Wait takes an event of any context.
func (s *stream) Wait(e driver.Event) error {
	ev, ok := e.(*event)
	if !ok {
		return fmt.Errorf("cudriver: Wait: an event of another driver: %w", driver.ErrInvalidHandle)
	}
	if err := ev.context.holds("Wait", ev); err != nil {
		return err
	}
	return s.do("Wait", func() error { return s.handle.Wait(ev.handle, 0) })
}

func (s *stream) Query() error { return notReady(s.do("Query", s.handle.Query)) }

// notReady leaves the name of the call out of an answer that is no failure.
func notReady(err error) error {
	if errors.Is(err, driver.ErrNotReady) {
		return driver.ErrNotReady
	}
	return err
}

func (s *stream) Synchronize() error { return s.do("Stream.Synchronize", s.handle.Synchronize) }

// Close waits for the stream's work, whose failure would otherwise be lost.
func (s *stream) Close() error {
	return s.context.release("Stream.Close", s, func() error {
		return errors.Join(code(s.handle.Synchronize()), code(s.handle.Destroy()))
	})
}
