package trace

import (
	"fmt"
	"slices"
	"time"

	"ofpeak/kernels"
)

// stream passes calls on, and notes them while its device records. It implements kernels.Stream.
type stream struct {
	inner kernels.Stream
	timed kernels.TimedStream // inner, if it tells when calls ran
	dev   *Device
	index int
	calls []Span // as enqueued, in order
	moves []Call // of the transfers among them
	note  func(begin, end time.Time)

	times []interval // of calls, where the stream tells
	// Where it does not: an event before and one after each call, kept from recording to recording.
	origin kernels.Event
	events []kernels.Event
	used   int
	err    error
}

type interval struct{ begin, end time.Time }

// hostStream is a stream of a device with host memory. It implements kernels.HostStream.
type hostStream struct {
	*stream
	host kernels.HostStream
}

// start forgets the last recording but keeps its memory.
func (s *stream) start() error {
	s.calls, s.moves, s.times, s.used, s.err = s.calls[:0], s.moves[:0], s.times[:0], 0, nil
	if s.timed != nil {
		s.timed.Observe(s.note)
		return nil
	}
	if s.origin == nil {
		var err error
		if s.origin, err = s.dev.NewEvent(); err != nil {
			return fmt.Errorf("trace: %w", err)
		}
	}
	s.inner.Record(s.origin)
	return s.inner.Sync()
}

// stop ends the recording.
func (s *stream) stop() error {
	if s.timed != nil {
		s.timed.Observe(nil)
	}
	if s.err != nil {
		return s.err
	}
	if s.timed == nil { // the event after a Download, which waits
		if err := s.inner.Sync(); err != nil {
			return fmt.Errorf("trace: %w", err)
		}
	}
	if s.timed != nil && len(s.times) != len(s.calls) {
		return fmt.Errorf("trace: the stream was given %d calls and told of %d", len(s.calls), len(s.times))
	}
	return nil
}

// spans are the calls with their times in a recording of some length. Records take no time that matters and are left out.
func (s *stream) spans(length time.Duration) []Span {
	var spans []Span
	moves := slices.Clone(s.moves)
	for i, c := range s.calls {
		if c.Op == "" {
			continue
		}
		c.Begin, c.End = s.when(i)
		c.Begin, c.End = min(c.Begin, length), min(c.End, length)
		c.Calls = moves[c.lo:c.hi]
		if c.Kind == Wait && c.On >= 0 {
			_, c.Ready = s.dev.streams[c.On].when(c.mark)
		}
		spans = append(spans, c)
	}
	return spans
}

// when is the time of call i since the recording began.
func (s *stream) when(i int) (begin, end time.Duration) {
	if s.timed != nil {
		return s.times[i].begin.Sub(s.dev.base), s.times[i].end.Sub(s.dev.base)
	}
	return s.events[2*i].Since(s.origin), s.events[2*i+1].Since(s.origin)
}

// begin notes a call that is about to be enqueued.
func (s *stream) begin(c Span) {
	if !s.dev.on {
		return
	}
	c.Phase, c.Microbatch = s.dev.phase, s.dev.batch
	c.lo, c.hi = len(s.moves), len(s.moves)
	s.calls = append(s.calls, c)
	s.event()
}

// call adds one to the transfer that was begun last.
func (s *stream) call(k Call, bytes float64) {
	if !s.dev.on {
		return
	}
	last := &s.calls[len(s.calls)-1]
	s.moves = append(s.moves, k)
	last.hi = len(s.moves)
	last.Bytes += bytes
}

// end closes the call that was begun last. A nil stream, of a device that is not recorded, has none.
func (s *stream) end() {
	if s != nil && s.dev.on {
		s.event()
	}
}

// event marks the stream's place, where it does not tell of its calls itself.
func (s *stream) event() {
	if s.timed != nil {
		return
	}
	if s.used == len(s.events) {
		e, err := s.dev.NewEvent()
		if err != nil {
			s.err = fmt.Errorf("trace: %w", err)
			e = s.origin
		}
		s.events = append(s.events, e)
	}
	s.inner.Record(s.events[s.used])
	s.used++
}

// Record notes which stream the event is of.
func (s *stream) Record(e kernels.Event) {
	if s.dev.on {
		s.dev.marked[e] = place{s.index, len(s.calls)}
	}
	s.begin(Span{})
	s.inner.Record(e)
	s.end()
}

// Wait is a span, for other streams' work may hold this one.
func (s *stream) Wait(e kernels.Event) {
	at, ok := s.dev.marked[e]
	if !ok {
		at.stream = -1
	}
	s.begin(Span{Op: "wait", Kind: Wait, On: at.stream, mark: at.call})
	s.inner.Wait(e)
	s.end()
}

// Progress passes on what a kernels.WatchedStream tells; it is nothing of others.
func (s *stream) Progress() kernels.Progress {
	if w, ok := s.inner.(kernels.WatchedStream); ok {
		return w.Progress()
	}
	return kernels.Progress{}
}

// Capture passes on, to be called outside of a recording.
func (s *stream) Capture(f func()) (kernels.Graph, error) {
	if g, ok := s.inner.(kernels.GraphStream); ok {
		return g.Capture(f)
	}
	return nil, fmt.Errorf("%w: the device has no graphs", kernels.ErrUnsupported)
}

// Sync passes on.
func (s *stream) Sync() error { return s.inner.Sync() }

// Close closes the stream and its events.
func (s *stream) Close() error {
	for _, e := range s.events {
		if e != s.origin {
			e.Close()
		}
	}
	if s.origin != nil {
		s.origin.Close()
	}
	return s.inner.Close()
}

// Do notes a host function.
func (s *hostStream) Do(f func() error) {
	s.begin(Span{Op: "host-function", Kind: Memory})
	s.host.Do(f)
	s.end()
}

// Sum passes on: it runs inside of a call.
func (s *hostStream) Sum(dst kernels.Tensor, srcs []kernels.Tensor) { s.host.Sum(dst, srcs) }

// unwrap is the stream below, and the recorder of its calls if it has one.
func unwrap(s kernels.Stream) (inner kernels.Stream, rec *stream) {
	switch s := s.(type) {
	case *hostStream:
		return s.inner, s.stream
	case *stream:
		return s.inner, s
	}
	return s, nil
}
