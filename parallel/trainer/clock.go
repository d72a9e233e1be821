package trainer

import (
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// phase is what a stream does between two events.
type phase uint8

const (
	forward phase = iota
	backward
	optimizer
	exposed       // the compute stream waits for communication
	bubble        // the compute stream waits for another stage
	communication // a collective is under way, on whichever stream
	phases
)

// clock measures phases with events that it keeps from step to step.
type clock struct {
	dev    kernels.Device
	events []kernels.Event
	used   int
	spans  []span
	within phase // what the compute stream is in: forward, backward or optimizer
	err    error
}

// span is a phase between two events, perhaps inside of another phase.
type span struct {
	phase, within phase
	from, to      int
	inside        bool
}

func (c *clock) reset() { c.used, c.spans = 0, c.spans[:0] }

// mark records the next event on a stream, and gives its number.
func (c *clock) mark(s kernels.Stream) int {
	if c.used == len(c.events) {
		e, err := c.dev.NewEvent()
		if err != nil {
			c.err = err
			return 0
		}
		c.events = append(c.events, e)
	}
	s.Record(c.events[c.used])
	c.used++
	return c.used - 1
}

// end closes a span that began at a mark.
func (c *clock) end(s kernels.Stream, p phase, from int) {
	c.spans = append(c.spans, span{phase: p, from: from, to: c.mark(s)})
}

// inside counts the last span as p too, and takes its time off the phase that it lies in.
func (c *clock) inside(p phase) {
	s := c.spans[len(c.spans)-1]
	s.phase, s.within, s.inside = p, c.within, true
	c.spans = append(c.spans, s)
}

// exposes notes that the compute stream has stood waiting for communication since a mark, within the phase that it is in.
func (c *clock) exposes(s kernels.Stream, from int) {
	c.spans = append(c.spans, span{phase: exposed, within: c.within, from: from, to: c.mark(s), inside: true})
}

// sum is the time of each phase. All events have completed.
func (c *clock) sum() [phases]time.Duration {
	var sum [phases]time.Duration
	for _, s := range c.spans {
		d := c.between(s.from, s.to)
		sum[s.phase] += d
		if s.inside {
			sum[s.within] -= d
		}
	}
	return sum
}

func (c *clock) between(from, to int) time.Duration {
	return c.events[to].Since(c.events[from])
}

func (c *clock) close() {
	for _, e := range c.events {
		e.Close()
	}
}

// timed is a communicator whose collectives are timed.
type timed struct {
	comm.Communicator
	clock  *clock
	inline bool // they run on the compute stream, within a phase
}

// AllReduce times the call.
func (t *timed) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	from := t.clock.mark(s)
	t.Communicator.AllReduce(s, dst, src)
	t.end(s, from)
}

// ReduceScatter times the call.
func (t *timed) ReduceScatter(s kernels.Stream, dst, src kernels.Tensor) {
	from := t.clock.mark(s)
	t.Communicator.ReduceScatter(s, dst, src)
	t.end(s, from)
}

// AllGather times the call.
func (t *timed) AllGather(s kernels.Stream, dst, src kernels.Tensor) {
	from := t.clock.mark(s)
	t.Communicator.AllGather(s, dst, src)
	t.end(s, from)
}

// AllToAll times the call.
func (t *timed) AllToAll(s kernels.Stream, dst, src kernels.Tensor) {
	from := t.clock.mark(s)
	t.Communicator.AllToAll(s, dst, src)
	t.end(s, from)
}

// Group times the call.
func (t *timed) Group(s kernels.Stream, f func()) {
	from := t.clock.mark(s)
	t.Communicator.Group(s, f)
	t.end(s, from)
}

func (t *timed) end(s kernels.Stream, from int) {
	t.clock.end(s, communication, from)
	if t.inline {
		t.clock.inside(exposed)
	}
}
