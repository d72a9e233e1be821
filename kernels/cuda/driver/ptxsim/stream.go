package ptxsim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// stream implements driver.Stream.
type stream struct {
	context *context
	number  int // of all streams of the driver
	queue   []task
	closed  bool
	capture *capture // under way; nil: none
	lane    int      // its place among the capture's streams
}

// enter takes the lock for a call on the stream.
func (s *stream) enter(call string) error {
	if err := s.context.enter(call); err != nil {
		return err
	}
	if s.closed {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	if s.capture != nil && s.capture.invalid {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrCaptureInvalidated)
	}
	return nil
}

// issue enqueues work or, in a capture, keeps how each launch will.
func (s *stream) issue(enqueue func(on *stream)) {
	if s.capture == nil {
		enqueue(s)
		return
	}
	s.capture.add(s, enqueue)
}

// transfer enqueues a copy or a fill of allocated memory.
func (s *stream) transfer(what string, at driver.Ptr, n int64, host []byte, run func() error) error {
	defer s.context.leave()
	if err := s.enter(what); err != nil {
		return err
	}
	if !s.context.memory.Holds(uint64(at), n) {
		return fmt.Errorf("ptxsim: %s: %d bytes at %#x belong to no allocation: %w", what, n, uint64(at), driver.ErrInvalidValue)
	}
	if host != nil && !s.context.driver.isPinned(host) {
		return fmt.Errorf("ptxsim: %s: the host memory is not page-locked: %w", what, driver.ErrInvalidValue)
	}
	d := s.context.driver
	s.issue(func(on *stream) {
		noted := d.add(&call{stream: on.number, context: on.context.device, name: what})
		on.enqueue(task{run: func() error {
			if host != nil && !d.isPinned(host) {
				return fmt.Errorf("ptxsim: %s: the host memory has been freed: %w", what, driver.ErrIllegalAddress)
			}
			if err := d.watched(noted, run); err != nil {
				return fmt.Errorf("ptxsim: %s: %w: %w", what, driver.ErrIllegalAddress, err)
			}
			return nil
		}})
	})
	return nil
}

func (s *stream) CopyToDevice(dst driver.Ptr, src []byte) error {
	return s.transfer("CopyToDevice", dst, int64(len(src)), src, func() error { return s.context.memory.Write(uint64(dst), src) })
}

func (s *stream) CopyToHost(dst []byte, src driver.Ptr) error {
	return s.transfer("CopyToHost", src, int64(len(dst)), dst, func() error { return s.context.memory.Read(dst, uint64(src)) })
}

func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	return s.transfer("Copy", dst, n, nil, func() error { return s.context.memory.Copy(uint64(dst), uint64(src), n) })
}

func (s *stream) CopyPeer(dst, src driver.Ptr, from driver.Context, n int64) error {
	peer, ok := from.(*context)
	if !ok || peer.driver != s.context.driver {
		return fmt.Errorf("ptxsim: CopyPeer: a context of another driver: %w", driver.ErrInvalidContext)
	}
	return s.transfer("CopyPeer", dst, n, nil, func() error { return s.context.memory.CopyFrom(uint64(dst), peer.memory, uint64(src), n) })
}

func (s *stream) Memset8(dst driver.Ptr, v uint8, n int64) error {
	return s.transfer("Memset8", dst, n, nil, func() error { return s.context.memory.Fill(uint64(dst), []byte{v}, n) })
}

func (s *stream) Memset32(dst driver.Ptr, v uint32, n int64) error {
	word := binary.LittleEndian.AppendUint32(nil, v)
	return s.transfer("Memset32", dst, 4*n, nil, func() error { return s.context.memory.Fill(uint64(dst), word, n) })
}

func (s *stream) Launch(f driver.Function, l driver.Launch, params ...uint64) error {
	defer s.context.leave()
	if err := s.enter("Launch"); err != nil {
		return err
	}
	fn, ok := f.(*function)
	if !ok || fn.module.context != s.context || fn.module.closed {
		return fmt.Errorf("ptxsim: Launch: %w", driver.ErrInvalidHandle)
	}
	if n := fn.kernel.Shared + l.Shared; l.Shared > fn.allowed || n > maxShared {
		return fmt.Errorf("ptxsim: %s: %d bytes of shared memory, %d dynamic, of which %d are allowed: %w",
			fn.kernel.Name, n, l.Shared, fn.allowed, driver.ErrInvalidValue)
	}
	launch := simt.Launch{
		Grid: [3]int{l.Grid.X, l.Grid.Y, l.Grid.Z}, Block: [3]int{l.Block.X, l.Block.Y, l.Block.Z},
		Shared: l.Shared, Params: slices.Clone(params),
	}
	if err := fn.kernel.Check(launch); err != nil {
		return fmt.Errorf("ptxsim: %w", err)
	}
	s.issue(func(on *stream) { on.launch(fn, launch) })
	return nil
}

// launch enqueues a kernel.
func (s *stream) launch(f *function, l simt.Launch) {
	d := s.context.driver
	o := simt.Options{Seed: d.random.Uint64(), Workers: d.config.Workers, Budget: d.config.Budget}
	noted := d.add(&call{stream: s.number, context: s.context.device, name: f.kernel.Name})
	if noted != nil {
		o.Workers = 1
	}
	s.enqueue(task{run: func() error {
		if f.module.closed {
			return fmt.Errorf("ptxsim: %s: its module has been closed: %w", f.kernel.Name, driver.ErrInvalidHandle)
		}
		return d.watched(noted, func() error {
			_, err := f.kernel.Run(s.context.memory, l, o)
			return err
		})
	}})
}

func (s *stream) Record(e driver.Event) error {
	defer s.context.leave()
	ev, err := s.recordable("Record", e)
	if err != nil {
		return err
	}
	ev.node = nil
	if s.capture != nil {
		ev.node = s.capture.mark(s)
		return nil
	}
	s.record(ev)
	return nil
}

func (s *stream) RecordNode(e driver.Event) error {
	defer s.context.leave()
	ev, err := s.recordable("RecordNode", e)
	if err != nil {
		return err
	}
	if s.capture == nil {
		return fmt.Errorf("ptxsim: RecordNode outside of a capture: %w", driver.ErrInvalidValue)
	}
	ev.node = nil
	s.issue(func(on *stream) { on.record(ev) })
	return nil
}

// recordable takes the lock for a call that records an event of this device here.
func (s *stream) recordable(call string, e driver.Event) (*event, error) {
	if err := s.enter(call); err != nil {
		return nil, err
	}
	ev, ok := e.(*event)
	if !ok || ev.closed || ev.context != s.context {
		return nil, fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	return ev, nil
}

// record enqueues the completion of an event.
func (s *stream) record(e *event) {
	e.recorded++
	n := e.recorded
	e.noted = s.context.driver.mark(&call{stream: s.number, context: s.context.device, kind: record})
	s.enqueue(task{event: true, run: func() error {
		e.done, e.at = n, time.Now()
		return nil
	}})
}

func (s *stream) Wait(e driver.Event) error {
	defer s.context.leave()
	if err := s.enter("Wait"); err != nil {
		return err
	}
	ev, ok := e.(*event)
	if !ok || ev.closed {
		return fmt.Errorf("ptxsim: Wait: %w", driver.ErrInvalidHandle)
	}
	where := ""
	if s.context.driver.history != nil {
		where = site()
	}
	if ev.node != nil || s.capture != nil {
		return s.waitCaptured(ev, where)
	}
	s.wait(ev, where)
	return nil
}

// wait enqueues a wait for an event's last record.
func (s *stream) wait(e *event, where string) {
	n := e.recorded
	s.context.driver.add(&call{stream: s.number, context: s.context.device, kind: wait, mark: e.noted, site: where})
	s.enqueue(task{event: true, ready: func() bool { return e.done >= n }, run: func() error { return nil }})
}

func (s *stream) Query() error {
	defer s.context.leave()
	if err := s.enter("Query"); err != nil {
		return err
	}
	if err := s.capture.refuse("Query"); err != nil {
		return err
	}
	s.context.driver.one(nil)
	switch {
	case s.context.lost != nil:
		return s.context.lost
	case len(s.queue) > 0:
		return driver.ErrNotReady
	}
	s.context.waited(s)
	return nil
}

func (s *stream) Synchronize() error {
	defer s.context.leave()
	if err := s.enter("Synchronize"); err != nil {
		return err
	}
	if err := s.capture.refuse("Synchronize"); err != nil {
		return err
	}
	s.context.driver.until([]*stream{s}, func() bool { return len(s.queue) == 0 })
	s.context.waited(s)
	return s.context.lost
}

func (s *stream) Close() error {
	c := s.context
	c.driver.mu.Lock()
	defer c.leave()
	if s.closed {
		return fmt.Errorf("ptxsim: stream closed twice: %w", driver.ErrInvalidHandle)
	}
	if s.capture != nil {
		s.capture.invalid = true
	}
	c.driver.until([]*stream{s}, func() bool { return len(s.queue) == 0 })
	s.closed = true
	delete(c.live, s)
	c.driver.remove(s)
	return nil
}
