//go:build gpu

package cudriver

import (
	"errors"
	"fmt"
	"time"

	"gorgonia.org/cu"

	"ofpeak/kernels/cuda/driver"
)

// event implements driver.Event.
type event struct {
	context *context
	handle  cu.Event
}

func (c *context) NewEvent(timing bool) (driver.Event, error) {
	flags := cu.DefaultEvent
	if !timing {
		flags = cu.DisableTiming
	}
	e := &event{context: c}
	err := c.do("NewEvent", func() (err error) {
		e.handle, err = cu.MakeEvent(flags)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.give(e, "event")
	return e, nil
}

func (e *event) do(call string, fn func() error) error {
	if err := e.context.holds(call, e); err != nil {
		return err
	}
	return e.context.do(call, fn)
}

func (e *event) Query() error { return notReady(e.do("Event.Query", e.handle.Query)) }

func (e *event) Synchronize() error { return e.do("Event.Synchronize", e.handle.Synchronize) }

// Since has CUDA's resolution, about half a microsecond.
func (e *event) Since(start driver.Event) (time.Duration, error) {
	s, ok := start.(*event)
	if !ok || s.context != e.context {
		return 0, fmt.Errorf("cudriver: Since: an event of another context: %w", driver.ErrInvalidHandle)
	}
	if err := s.context.holds("Since", s); err != nil {
		return 0, err
	}
	var milliseconds float64
	err := e.do("Since", func() (err error) {
		milliseconds, err = s.handle.Elapsed(e.handle)
		return err
	})
	if errors.Is(err, driver.ErrNotReady) {
		return 0, driver.ErrNotReady
	}
	return time.Duration(milliseconds * float64(time.Millisecond)), err
}

func (e *event) Close() error {
	return e.context.release("Event.Close", e, func() error { return cu.DestroyEvent(&e.handle) })
}
