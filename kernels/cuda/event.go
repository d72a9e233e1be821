package cuda

import (
	"errors"
	"fmt"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// event implements kernels.Event.
type event struct {
	e driver.Event
	d *Device

	order   driver.Event // its place in a capture, made at the first
	capture *capture     // that it was last recorded in; nil: none
}

// NewEvent makes an event.
func (d *Device) NewEvent() (kernels.Event, error) {
	e, err := d.ctx.NewEvent(true)
	if err != nil {
		return nil, fmt.Errorf("cuda: making an event: %w", err)
	}
	return &event{e: e, d: d}, nil
}

// Since is 0 where the events are not comparable: not recorded, not completed, or of a lost context.
func (e *event) Since(start kernels.Event) time.Duration {
	d, err := e.e.Since(start.(*event).e)
	if err != nil {
		if !errors.Is(err, driver.ErrInvalidHandle) && !errors.Is(err, driver.ErrNotReady) {
			e.d.untimed.CompareAndSwap(nil, &err)
		}
		return 0
	}
	return d
}

func (e *event) Close() error {
	if e.order != nil {
		return errors.Join(e.e.Close(), e.order.Close())
	}
	return e.e.Close()
}

func (s *stream) Record(e kernels.Event) {
	ev := e.(*event)
	if c := s.capturing(); c != nil {
		s.fail(c.record(s, ev))
		return
	}
	ev.capture = nil
	s.fail(s.s.Record(ev.e))
}

func (s *stream) Wait(e kernels.Event) {
	ev := e.(*event)
	if c := ev.capture; c != nil && !c.over.Load() {
		s.fail(c.wait(s, ev))
		return
	}
	s.fail(s.s.Wait(ev.e))
}
