package drivertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ofpeak/kernels/cuda/driver"
)

// Tap is a driver in front of another one. It counts what is alive, and lets a test change or leave out calls.
type Tap struct {
	driver.Driver
	// Launch, if set, may change a launch's parameters.
	Launch func(kernel string, params []uint64)
	// Wait, if set, tells whether a stream's wait for an event is made. Waits are numbered from 0.
	Wait func(n int) bool
	// BeginCapture, if set, may refuse a capture.
	BeginCapture func() error

	mu    sync.Mutex
	waits int
	alive map[string]int // by what it is
}

// Waits is the number of waits so far.
func (t *Tap) Waits() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waits
}

// Alive says what was given out and has not come back, such as "1 allocation, 2 events"; "" if all is back.
func (t *Tap) Alive() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var left []string
	for _, what := range slices.Sorted(maps.Keys(t.alive)) {
		if n := t.alive[what]; n != 0 {
			left = append(left, fmt.Sprintf("%d %s", n, what))
		}
	}
	return strings.Join(left, ", ")
}

// count notes that n more of something are alive, unless the call failed.
func (t *Tap) count(what string, n int, err error) {
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.alive == nil {
		t.alive = map[string]int{}
	}
	t.alive[what] += n
}

// NewContext opens a device.
func (t *Tap) NewContext(i int) (driver.Context, error) {
	c, err := t.Driver.NewContext(i)
	t.count("context", 1, err)
	return &tapContext{c, t}, err
}

// Collectives gives the library the contexts and streams behind the taps.
func (t *Tap) Collectives() (driver.Collectives, error) {
	l, err := t.Driver.Collectives()
	if err != nil {
		return nil, err
	}
	return &tapCollectives{l, t}, nil
}

type tapCollectives struct {
	driver.Collectives
	tap *Tap
}

func (l *tapCollectives) Join(id []byte, ranks int, seats []driver.Seat) ([]driver.Group, error) {
	seats = slices.Clone(seats)
	for i := range seats {
		seats[i].Context = seats[i].Context.(*tapContext).Context
	}
	groups, err := l.Collectives.Join(id, ranks, seats)
	return l.wrap(groups), err
}

func (l *tapCollectives) Split(parts []driver.Part) ([]driver.Group, error) {
	parts = slices.Clone(parts)
	for i := range parts {
		parts[i].Group = parts[i].Group.(*tapGroup).Group
	}
	groups, err := l.Collectives.Split(parts)
	return l.wrap(groups), err
}

func (l *tapCollectives) wrap(groups []driver.Group) []driver.Group {
	wrapped := make([]driver.Group, len(groups))
	for i, g := range groups {
		if g != nil {
			l.tap.count("group", 1, nil)
			wrapped[i] = &tapGroup{Group: g, tap: l.tap}
		}
	}
	return wrapped
}

type tapGroup struct {
	driver.Group
	tap *Tap
	end sync.Once
}

func (g *tapGroup) Enqueue(s driver.Stream, calls ...driver.Collective) error {
	return g.Group.Enqueue(s.(*tapStream).Stream, calls...)
}

func (g *tapGroup) Abort() error { return g.ended(g.Group.Abort()) }

func (g *tapGroup) Close() error { return g.ended(g.Group.Close()) }

// ended counts the first end only.
func (g *tapGroup) ended(err error) error {
	g.end.Do(func() { g.tap.count("group", -1, err) })
	return err
}

type tapContext struct {
	driver.Context
	tap *Tap
}

func (c *tapContext) Alloc(bytes int64) (driver.Ptr, error) {
	p, err := c.Context.Alloc(bytes)
	c.tap.count("allocation", 1, err)
	return p, err
}

func (c *tapContext) Free(p driver.Ptr) error {
	err := c.Context.Free(p)
	c.tap.count("allocation", -1, err)
	return err
}

func (c *tapContext) AllocHost(bytes int) ([]byte, error) {
	b, err := c.Context.AllocHost(bytes)
	c.tap.count("host allocation", 1, err)
	return b, err
}

func (c *tapContext) FreeHost(b []byte) error {
	err := c.Context.FreeHost(b)
	c.tap.count("host allocation", -1, err)
	return err
}

func (c *tapContext) NewStream() (driver.Stream, error) {
	s, err := c.Context.NewStream()
	c.tap.count("stream", 1, err)
	return &tapStream{s, c.tap}, err
}

func (c *tapContext) NewEvent(timing bool) (driver.Event, error) {
	e, err := c.Context.NewEvent(timing)
	c.tap.count("event", 1, err)
	return &tapEvent{e, c.tap}, err
}

func (c *tapContext) LoadModule(ptx string) (driver.Module, error) {
	m, err := c.Context.LoadModule(ptx)
	c.tap.count("module", 1, err)
	return &tapModule{m, c.tap}, err
}

func (c *tapContext) EnablePeer(peer driver.Context) error {
	return c.Context.EnablePeer(peer.(*tapContext).Context)
}

func (c *tapContext) Close() error {
	err := c.Context.Close()
	c.tap.count("context", -1, err)
	return err
}

type tapModule struct {
	driver.Module
	tap *Tap
}

func (m *tapModule) Close() error {
	err := m.Module.Close()
	m.tap.count("module", -1, err)
	return err
}

type tapEvent struct {
	driver.Event
	tap *Tap
}

func (e *tapEvent) Close() error {
	err := e.Event.Close()
	e.tap.count("event", -1, err)
	return err
}

type tapStream struct {
	driver.Stream
	tap *Tap
}

func (s *tapStream) CopyPeer(dst, src driver.Ptr, from driver.Context, n int64) error {
	return s.Stream.CopyPeer(dst, src, from.(*tapContext).Context, n)
}

func (s *tapStream) Launch(f driver.Function, c driver.Launch, params ...uint64) error {
	if s.tap.Launch != nil {
		s.tap.Launch(f.Info().Name, params)
	}
	return s.Stream.Launch(f, c, params...)
}

func (s *tapStream) Record(e driver.Event) error { return s.Stream.Record(e.(*tapEvent).Event) }

func (s *tapStream) RecordNode(e driver.Event) error { return s.Stream.RecordNode(e.(*tapEvent).Event) }

func (s *tapStream) BeginCapture() error {
	if s.tap.BeginCapture != nil {
		if err := s.tap.BeginCapture(); err != nil {
			return err
		}
	}
	return s.Stream.BeginCapture()
}

func (s *tapStream) EndCapture() (driver.Graph, error) {
	g, err := s.Stream.EndCapture()
	s.tap.count("graph", 1, err)
	return &tapGraph{g, s.tap}, err
}

type tapGraph struct {
	driver.Graph
	tap *Tap
}

func (g *tapGraph) Launch(s driver.Stream) error { return g.Graph.Launch(s.(*tapStream).Stream) }

func (g *tapGraph) Close() error {
	err := g.Graph.Close()
	g.tap.count("graph", -1, err)
	return err
}

func (s *tapStream) Wait(e driver.Event) error {
	s.tap.mu.Lock()
	n := s.tap.waits
	s.tap.waits++
	s.tap.mu.Unlock()
	if s.tap.Wait != nil && !s.tap.Wait(n) {
		return nil
	}
	return s.Stream.Wait(e.(*tapEvent).Event)
}

func (s *tapStream) Close() error {
	err := s.Stream.Close()
	s.tap.count("stream", -1, err)
	return err
}

// Since unwraps the other event.
func (e *tapEvent) Since(start driver.Event) (time.Duration, error) {
	return e.Event.Since(start.(*tapEvent).Event)
}
