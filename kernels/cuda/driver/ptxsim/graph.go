package ptxsim

import (
	"fmt"

	"ofpeak/kernels/cuda/driver"
)

// capture is a graph in the making. The calls of each of its streams follow one another, and events tie the streams.
type capture struct {
	streams []*stream // the first is that which began it
	reached [][]int   // by stream, then by stream: the calls of the other that come before its next
	steps   []step
	invalid bool // every later call but EndCapture fails
}

// step is one captured call: how each launch enqueues it on the lane that stands for its stream.
type step struct {
	lane    int
	enqueue func(on *stream)
}

// node is the place in a capture where an event was recorded.
type node struct {
	capture *capture
	event   *event // what each launch completes
	reached []int
}

// refuse fails a call that is not permitted in a capture, and the capture. There may be none.
func (c *capture) refuse(call string) error {
	if c == nil {
		return nil
	}
	c.invalid = true
	return fmt.Errorf("ptxsim: %s: %w", call, driver.ErrCaptureUnsupported)
}

// join makes a stream part of the capture.
func (c *capture) join(s *stream) {
	s.capture, s.lane = c, len(c.streams)
	c.streams, c.reached = append(c.streams, s), append(c.reached, nil)
}

func (c *capture) add(s *stream, enqueue func(on *stream)) {
	c.steps = append(c.steps, step{s.lane, enqueue})
	c.reach(s.lane, s.lane, c.at(s.lane, s.lane)+1)
}

func (c *capture) at(lane, other int) int {
	if other < len(c.reached[lane]) {
		return c.reached[lane][other]
	}
	return 0
}

func (c *capture) reach(lane, other, calls int) {
	for len(c.reached[lane]) <= other {
		c.reached[lane] = append(c.reached[lane], 0)
	}
	c.reached[lane][other] = max(c.reached[lane][other], calls)
}

// mark is the place that the stream has come to.
func (c *capture) mark(s *stream) *node {
	n := &node{capture: c, event: &event{context: s.context, noted: -1}}
	c.add(s, func(on *stream) { on.record(n.event) })
	n.reached = append(n.reached, c.reached[s.lane]...)
	return n
}

// waitCaptured is a wait for an event that was recorded in a capture, or in one. It takes a stream into the event's.
func (s *stream) waitCaptured(e *event, where string) error {
	c, n := s.capture, e.node
	switch {
	case n == nil:
		c.invalid = true
		return fmt.Errorf("ptxsim: Wait: %w", driver.ErrCaptureIsolation)
	case n.capture.streams == nil:
		return fmt.Errorf("ptxsim: Wait: %w", driver.ErrCapturedEvent)
	case c != nil && c != n.capture:
		c.invalid, n.capture.invalid = true, true
		return fmt.Errorf("ptxsim: Wait: %w", driver.ErrCaptureMerge)
	case c == nil:
		n.capture.join(s)
	}
	s.capture.add(s, func(on *stream) { on.wait(n.event, where) })
	for other, calls := range n.reached {
		s.capture.reach(s.lane, other, calls)
	}
	return nil
}

func (s *stream) BeginCapture() error {
	defer s.context.leave()
	if err := s.enter("BeginCapture"); err != nil {
		return err
	}
	if s.capture != nil {
		return fmt.Errorf("ptxsim: BeginCapture of a stream that is captured: %w", driver.ErrInvalidValue)
	}
	new(capture).join(s)
	return nil
}

func (s *stream) EndCapture() (driver.Graph, error) {
	c := s.context
	defer c.leave()
	c.driver.mu.Lock()
	made := s.capture
	if made == nil || made.streams[0] != s {
		return nil, fmt.Errorf("ptxsim: EndCapture: %w", driver.ErrCaptureUnmatched)
	}
	streams := made.streams
	made.streams = nil
	for _, t := range streams {
		t.capture = nil
	}
	if err := c.usable("EndCapture"); err != nil {
		return nil, err
	}
	if made.invalid {
		return nil, fmt.Errorf("ptxsim: EndCapture: %w", driver.ErrCaptureInvalidated)
	}
	for i := range streams {
		if made.at(0, i) < made.at(i, i) {
			return nil, fmt.Errorf("ptxsim: EndCapture: %w", driver.ErrCaptureUnjoined)
		}
	}
	if err := c.usable("Instantiate"); err != nil {
		return nil, err
	}
	return newGraph(streams, made.steps), nil
}

// graph implements driver.Graph. Its lanes are streams of its own, on which a launch enqueues what was captured: any order between them that its events leave open may come.
type graph struct {
	context *context
	lanes   []*stream
	steps   []step
	begin   *event // a launch's turn has come
	end     *event // it has run
}

func newGraph(captured []*stream, steps []step) *graph {
	c := captured[0].context
	g := &graph{context: c, steps: steps, begin: &event{context: c, noted: -1}, end: &event{context: c, noted: -1}}
	d := c.driver
	for _, s := range captured {
		g.lanes = append(g.lanes, &stream{context: s.context, number: d.made})
		d.made++
	}
	d.streams = append(d.streams, g.lanes...)
	c.live[g] = "graph"
	return g
}

func (g *graph) Launch(on driver.Stream) error {
	defer g.context.leave()
	s, ok := on.(*stream)
	if !ok || s.context != g.context {
		g.context.driver.mu.Lock()
		return fmt.Errorf("ptxsim: Launch of a graph on a stream of another context: %w", driver.ErrInvalidHandle)
	}
	if err := s.enter("GraphLaunch"); err != nil {
		return err
	}
	if g.context.live[g] == "" {
		return fmt.Errorf("ptxsim: Launch of a closed graph: %w", driver.ErrInvalidHandle)
	}
	if err := s.capture.refuse("GraphLaunch"); err != nil {
		return err
	}
	s.wait(g.end, "the graph's last launch")
	s.record(g.begin)
	for _, lane := range g.lanes {
		lane.wait(g.begin, "the graph's launch")
	}
	for _, step := range g.steps {
		step.enqueue(g.lanes[step.lane])
	}
	g.lanes[0].record(g.end)
	s.wait(g.end, "the graph's end")
	return nil
}

// Close waits for the launches.
func (g *graph) Close() error {
	c := g.context
	c.driver.mu.Lock()
	defer c.leave()
	if c.live[g] == "" {
		return fmt.Errorf("ptxsim: graph closed twice: %w", driver.ErrInvalidHandle)
	}
	delete(c.live, g)
	for _, lane := range g.lanes {
		c.driver.until([]*stream{lane}, func() bool { return len(lane.queue) == 0 })
	}
	c.driver.remove(g.lanes...)
	return nil
}
