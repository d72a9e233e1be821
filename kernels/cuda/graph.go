package cuda

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// capture is a graph in the making.
type capture struct {
	dev     *Device
	streams []*stream // of dev: those of other devices are their ranks' affair, in goroutines of their own
	over    atomic.Bool
}

// join makes a stream part of the capture.
func (c *capture) join(s *stream) {
	s.capture, s.captured = c, true
	if s.dev == c.dev {
		c.streams = append(c.streams, s)
	}
}

// capturing is the capture that the stream is part of, or nil.
func (s *stream) capturing() *capture {
	if c := s.capture; c != nil && !c.over.Load() {
		return c
	}
	return nil
}

// record gives the event two places: one in the capture, which others can wait for, and one in the graph, whose launches complete the event itself, so that it has a time.
func (c *capture) record(s *stream, e *event) error {
	if e.order == nil {
		made, err := e.d.ctx.NewEvent(false)
		if err != nil {
			return fmt.Errorf("cuda: making an event: %w", err)
		}
		e.order = made
	}
	e.capture = c
	return errors.Join(s.s.RecordNode(e.e), s.s.Record(e.order))
}

func (c *capture) wait(s *stream, e *event) error {
	if e.order == nil {
		return fmt.Errorf("cuda: an event that could not be made: %w", driver.ErrInvalidHandle)
	}
	err := s.s.Wait(e.order)
	if err == nil && s.capturing() == nil {
		c.join(s)
	}
	return err
}

// end gives the first failure of a call on the device's streams, and clears it there.
func (c *capture) end() (err error) {
	c.over.Store(true)
	for _, s := range c.streams {
		if err == nil {
			err = s.err
		}
		s.err = nil
	}
	return err
}

// Capture makes a graph; see kernels.GraphStream.
func (s *stream) Capture(f func()) (kernels.Graph, error) {
	if s.err != nil {
		return nil, s.err
	}
	if err := s.s.BeginCapture(); err != nil {
		return nil, fmt.Errorf("cuda: capturing: %w", err)
	}
	c, forms := &capture{dev: s.dev}, s.dev.fresh()
	c.join(s)
	g, err := s.endAfter(c, f)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(forms, func(c *compressedWeight) bool { return c.stale }) {
		return nil, errors.Join(errors.New("cuda: capturing: calls change a 2:4 weight that they first read as it was compressed before: capture after calls that change it"), g.Close())
	}
	made := &graph{s, g, forms}
	made.changes()
	return made, nil
}

// endAfter ends a capture after f, even where f panics.
func (s *stream) endAfter(c *capture, f func()) (g driver.Graph, err error) {
	defer func() {
		g, err = s.s.EndCapture()
		failed := c.end()
		if err != nil {
			err = fmt.Errorf("cuda: capturing: %w", err)
		}
		if failed != nil && err == nil {
			err = g.Close()
		}
		err = errors.Join(failed, err)
	}()
	f()
	return nil, nil
}

// graph implements kernels.Graph.
type graph struct {
	s     *stream
	g     driver.Graph
	forms []*compressedWeight // that its calls take as they were
}

// changes tells that no call outside of the graph can rely on what its calls compress, or on the weights that they change: they may have run any number of times, or never.
func (g *graph) changes() {
	for _, c := range g.s.dev.others(g.forms) {
		c.stale = true
	}
}

func (g *graph) Launch() {
	for _, c := range g.forms {
		if c.stale {
			g.s.fail(errors.New("cuda: a 2:4 weight has changed that a graph has compressed as it was: capture it again"))
			return
		}
	}
	g.s.fail(g.g.Launch(g.s.s))
	g.changes()
}

func (g *graph) Close() error { return g.g.Close() }
