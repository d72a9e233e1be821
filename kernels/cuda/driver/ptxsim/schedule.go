package ptxsim

import "slices"

// task is one piece of enqueued work.
type task struct {
	ready func() bool // nil: always
	run   func() error
	event bool // must run even after the context is lost, so that nobody waits for ever
}

// enqueue adds work to a stream. Sometimes some of what is queued runs at once, as it might on a real device.
func (s *stream) enqueue(t task) {
	s.queue = append(s.queue, t)
	d := s.context.driver
	d.changed.Broadcast()
	if d.random.IntN(4) == 0 {
		for range d.random.IntN(3) {
			d.one(nil)
		}
	}
}

// until runs work, in some order that streams and events allow, until done says so. What it waits for is of the given streams. Where nothing can run it waits
// for other goroutines.
func (d *Driver) until(target []*stream, done func() bool) {
	var first []*stream // whose work goes first as long as it can: those waited for, all others, or none
	switch d.random.IntN(3) {
	case 0:
		first = target
	case 1:
		for _, s := range d.streams {
			if !slices.Contains(target, s) {
				first = append(first, s)
			}
		}
	}
	for !done() {
		if d.one(first) || d.one(nil) {
			continue
		}
		if !slices.ContainsFunc(d.streams, func(s *stream) bool { return len(s.queue) > 0 }) {
			return
		}
		d.changed.Wait() // a collective waits for another rank, whose goroutine will enqueue its part
	}
}

// one runs the first task of a stream that has one ready, among the given streams or, with none given, among all; and tells whether there was any.
func (d *Driver) one(among []*stream) bool {
	if among == nil {
		among = d.streams
	}
	var ready []*stream
	for _, s := range among {
		if len(s.queue) > 0 && (s.queue[0].ready == nil || s.queue[0].ready()) {
			ready = append(ready, s)
		}
	}
	if len(ready) == 0 {
		return false
	}
	s := ready[d.random.IntN(len(ready))]
	t := s.queue[0]
	s.queue = s.queue[1:]
	if s.context.lost != nil && !t.event {
		return true
	}
	if err := t.run(); err != nil && s.context.lost == nil {
		s.context.lose(err)
	}
	return true
}

// idle runs all work of a context.
func (d *Driver) idle(c *context) {
	streams := c.streams()
	d.until(streams, func() bool {
		return !slices.ContainsFunc(streams, func(s *stream) bool { return len(s.queue) > 0 })
	})
}

// remove takes streams that are idle out of the schedule.
func (d *Driver) remove(gone ...*stream) {
	d.streams = slices.DeleteFunc(d.streams, func(s *stream) bool { return slices.Contains(gone, s) })
}
