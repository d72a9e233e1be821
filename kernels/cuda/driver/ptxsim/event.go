package ptxsim

import (
	"fmt"
	"time"

	"ofpeak/kernels/cuda/driver"
)

// event implements driver.Event. Its times are those of the interpreter, which say nothing of a GPU.
type event struct {
	context        *context
	timing, closed bool
	noted          int // the last record's place in the history; -1: none
	recorded, done int // how often it was recorded, and the last record that completed
	at             time.Time
	node           *node // of the capture that it was last recorded in; nil: none
}

func (e *event) enter(call string) error {
	if err := e.context.enter(call); err != nil {
		return err
	}
	if e.closed {
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrInvalidHandle)
	}
	if e.node != nil {
		e.node.capture.invalid = true
		return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrCapturedEvent)
	}
	return nil
}

func (e *event) Query() error {
	defer e.context.leave()
	if err := e.enter("Query"); err != nil {
		return err
	}
	e.context.driver.one(nil)
	if e.done < e.recorded {
		return driver.ErrNotReady
	}
	return e.context.lost
}

func (e *event) Synchronize() error {
	defer e.context.leave()
	if err := e.enter("Synchronize"); err != nil {
		return err
	}
	e.context.driver.until(nil, func() bool { return e.done == e.recorded })
	return e.context.lost
}

func (e *event) Since(start driver.Event) (time.Duration, error) {
	defer e.context.leave()
	if err := e.enter("Since"); err != nil {
		return 0, err
	}
	s, ok := start.(*event)
	switch {
	case !ok || s.closed || s.context != e.context || !s.timing || !e.timing || s.recorded == 0 || e.recorded == 0:
		return 0, fmt.Errorf("ptxsim: Since: not two recorded events with timing of one device: %w", driver.ErrInvalidHandle)
	case s.done < s.recorded || e.done < e.recorded:
		return 0, driver.ErrNotReady
	}
	return e.at.Sub(s.at), nil
}

func (e *event) Close() error {
	e.context.driver.mu.Lock()
	defer e.context.leave()
	if e.closed {
		return fmt.Errorf("ptxsim: event closed twice: %w", driver.ErrInvalidHandle)
	}
	e.closed = true
	delete(e.context.live, e)
	return nil
}
