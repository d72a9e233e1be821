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
}

// enter takes the lock for a call on the stream.
func (s *stream) enter(call string) error {
	if err := s.context.enter(call); err != nil {
		return err
	}
	if s.closed {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	return nil
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
	noted := s.context.driver.add(&call{stream: s.number, context: s.context.device, name: what})
	s.enqueue(task{run: func() error {
		if err := s.context.driver.watched(noted, run); err != nil {
			return fmt.Errorf("ptxsim: %s: %w: %w", what, driver.ErrIllegalAddress, err)
		}
		return nil
	}})
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
	d := s.context.driver
	seed := d.random.Uint64()
	o := simt.Options{Seed: seed, Workers: d.config.Workers, Budget: d.config.Budget}
	noted := d.add(&call{stream: s.number, context: s.context.device, name: fn.kernel.Name})
	if noted != nil {
		o.Workers = 1
	}
	s.enqueue(task{run: func() error {
		return d.watched(noted, func() error {
			_, err := fn.kernel.Run(s.context.memory, launch, o)
			return err
		})
	}})
	return nil
}

func (s *stream) Record(e driver.Event) error {
	defer s.context.leave()
	if err := s.enter("Record"); err != nil {
		return err
	}
	ev, err := s.own(e)
	if err != nil {
		return err
	}
	ev.recorded++
	n := ev.recorded
	ev.noted = s.context.driver.mark(&call{stream: s.number, context: s.context.device, kind: record})
	s.enqueue(task{event: true, run: func() error {
		ev.done, ev.at = n, time.Now()
		return nil
	}})
	return nil
}

// own checks an event that is recorded here; an event of any device may be waited for.
func (s *stream) own(e driver.Event) (*event, error) {
	ev, ok := e.(*event)
	if !ok || ev.closed || ev.context != s.context {
		return nil, fmt.Errorf("ptxsim: Record: %w", driver.ErrInvalidHandle)
	}
	return ev, nil
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
	n := ev.recorded
	if h := s.context.driver.history; h != nil {
		s.context.driver.add(&call{stream: s.number, context: s.context.device, kind: wait, mark: ev.noted, site: site()})
	}
	s.enqueue(task{event: true, ready: func() bool { return ev.done >= n }, run: func() error { return nil }})
	return nil
}

func (s *stream) Query() error {
	defer s.context.leave()
	if err := s.enter("Query"); err != nil {
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
	c.driver.until([]*stream{s}, func() bool { return len(s.queue) == 0 })
	s.closed = true
	delete(c.live, s)
	c.driver.streams = slices.DeleteFunc(c.driver.streams, func(o *stream) bool { return o == s })
	return nil
}
