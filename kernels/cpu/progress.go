package cpu

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"ofpeak/kernels"
)

// work is what a stream has run, and runs. It allocates nothing.
type work struct {
	mu      sync.Mutex
	ended   int64
	cmd     command // under way; nil: none that computes
	since   time.Time
	longest time.Duration
}

func (w *work) begin(c command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if computes(c) {
		w.cmd, w.since = c, time.Now()
	}
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	if w.cmd != nil {
		w.longest = max(w.longest, time.Since(w.since))
		w.cmd = nil
	}
}

// computes tells operators from what waits for others or takes no time: a Do is a collective's.
func computes(c command) bool {
	switch c.(type) {
	case *do, *wait, *record:
		return false
	}
	return true
}

// Progress tells what the stream does; see kernels.WatchedStream.
func (s *Stream) Progress() kernels.Progress {
	w := &s.work
	w.mu.Lock()
	defer w.mu.Unlock()
	p := kernels.Progress{Ended: w.ended, Longest: w.longest}
	if w.cmd != nil {
		p.Op, p.Since = nameOf(w.cmd), w.since
	}
	return p
}

// nameOf is an operator's, such as linearForward.
func nameOf(c command) string { return strings.TrimPrefix(fmt.Sprintf("%T", c), "*cpu.") }
