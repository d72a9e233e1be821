package ptxsim

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"ofpeak/kernels/cuda/driver/ptxsim/simt"
)

// History is what was enqueued on the streams of a driver, in the order of the calls, and what device memory each piece of work touched. It tells whether
// streams, events and the host's own waiting put every two pieces of work that touch the same memory in an order, in whatever order they happened to run.
type History struct {
	calls []*call
	pairs [][2]*call // see conflicts
	on    bool
}

// Stop ends the history. All that was enqueued has run.
func (h *History) Stop() { h.on = false }

// call is work, a mark of an event, a wait for one, or the host's wait for some streams.
type call struct {
	stream, context int
	kind            kind
	name            string
	site            string // of a wait, in the source
	mark            int    // of a wait: the call that it waits for; -1: none
	streams         []int  // that the host waits for
	ranges          []simt.Range
	does            simt.Work

	time int   // the how manieth of its stream
	seen clock // what has run for certain when the call runs
}

type kind uint8

const (
	work kind = iota
	record
	wait
	hostWait
)

// clock is, by stream, up to which of its calls something comes after.
type clock []int

func (c *clock) join(d clock) {
	for len(*c) < len(d) {
		*c = append(*c, 0)
	}
	for i, t := range d {
		(*c)[i] = max((*c)[i], t)
	}
}

func (c *clock) set(stream, time int) {
	for len(*c) <= stream {
		*c = append(*c, 0)
	}
	(*c)[stream] = time
}

func (c clock) at(stream int) int {
	if stream < len(c) {
		return c[stream]
	}
	return 0
}

// Watch starts a history with the next call. Kernels then run on one worker.
func (d *Driver) Watch() *History {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.history = &History{on: true}
	return d.history
}

// add notes a call, and gives it back, or nil where there is no history.
func (d *Driver) add(c *call) *call {
	if d.history == nil || !d.history.on {
		return nil
	}
	d.history.calls = append(d.history.calls, c)
	return c
}

// mark is add of an event's record: its place in the history, which waits for the event name, or -1.
func (d *Driver) mark(c *call) int {
	if d.add(c) == nil {
		return -1
	}
	return len(d.history.calls) - 1
}

// watched runs a piece of work, and notes what it touches.
func (d *Driver) watched(c *call, run func() error) error {
	if c == nil {
		return run()
	}
	var f simt.Footprint
	d.eachMemory(func(m *simt.Memory) { m.Watch(&f) })
	err := run()
	d.eachMemory(func(m *simt.Memory) { m.Watch(nil) })
	c.ranges, c.does = f.Take(), f.Work
	return err
}

func (d *Driver) eachMemory(f func(*simt.Memory)) {
	for _, c := range d.open {
		if c != nil {
			f(c.memory)
		}
	}
}

// waited notes that the host has waited for streams.
func (c *context) waited(streams ...*stream) {
	n := &call{kind: hostWait, context: c.device}
	for _, s := range streams {
		n.streams = append(n.streams, s.number)
	}
	c.driver.add(n)
}

// site is where in the source a wait stands: the first two callers outside of the device and the driver, as "function (package/file:line) of function (...)".
func site() string {
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var at []string
	for more := true; more && len(at) < 2; {
		var f runtime.Frame
		if f, more = frames.Next(); !strings.Contains(f.Function, "/kernels/cuda") {
			name := f.Function[strings.LastIndex(f.Function, ".")+1:]
			at = append(at, fmt.Sprintf("%s (%s/%s:%d)", name, path.Base(path.Dir(f.File)), path.Base(f.File), f.Line))
		}
	}
	return strings.Join(at, " of ")
}

// Waits are the sites of the waits that wait for something, in the order of the calls.
func (h *History) Waits() []string {
	var sites []string
	for _, c := range h.calls {
		if c.kind == wait {
			sites = append(sites, c.site)
		}
	}
	return sites
}

// Race is two pieces of work that touch the same memory, one of them writing, in no order.
type Race struct{ First, Second string }

func (r Race) String() string { return r.First + " and " + r.Second + " in no order" }

// Races are the pairs in no order if the waits that drop picks, by their place in Waits, were not made. A nil drop leaves all.
func (h *History) Races(drop func(n int) bool) []Race {
	h.order(drop)
	var races []Race
	for _, p := range h.conflicts() {
		a, b := p[0], p[1]
		if b.seen.at(a.stream) < a.time {
			races = append(races, Race{a.name, b.name})
		}
	}
	return races
}

// order gives each call its place and what comes before it for certain. Calls are visited in the order in which they were made, which no order that they put
// work in can contradict.
func (h *History) order(drop func(n int) bool) {
	streams, hosts, times, waits := map[int]*clock{}, map[int]*clock{}, map[int]int{}, 0
	of := func(m map[int]*clock, i int) *clock {
		if m[i] == nil {
			m[i] = &clock{}
		}
		return m[i]
	}
	for _, c := range h.calls {
		now, host := of(streams, c.stream), of(hosts, c.context)
		if c.kind == hostWait {
			for _, s := range c.streams {
				host.join(*of(streams, s))
			}
			continue
		}
		now.join(*host)
		if c.kind == wait {
			if c.mark >= 0 && (drop == nil || !drop(waits)) {
				now.join(h.calls[c.mark].seen)
			}
			waits++
		}
		c.seen = slices.Clone(*now)
		if c.kind == work {
			times[c.stream]++
			c.time = times[c.stream]
			now.set(c.stream, c.time)
		}
	}
}

// conflicts are the pairs of work on different streams that touch the same words, one of them writing, the earlier enqueued first.
func (h *History) conflicts() [][2]*call {
	if h.pairs == nil {
		h.pairs = [][2]*call{}
		for i, b := range h.calls {
			for _, a := range h.calls[:i] {
				if a.stream != b.stream && collide(a.ranges, b.ranges) {
					h.pairs = append(h.pairs, [2]*call{a, b})
				}
			}
		}
	}
	return h.pairs
}

func collide(as, bs []simt.Range) bool {
	for _, a := range as {
		for _, b := range bs {
			if a.Alloc == b.Alloc && a.Lo < b.Hi && b.Lo < a.Hi && (a.Write || b.Write) {
				return true
			}
		}
	}
	return false
}
