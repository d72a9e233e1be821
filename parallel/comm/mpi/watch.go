//go:build mpi

package mpi

import (
	"encoding/binary"
	"sync"
	"time"
)

// A note is what processes tell each other past their collectives: that a world has ended, and why.
const (
	noteBytes = 1024
	noteState = 0
	noteAbort = 1
)

// watch is the goroutine that hears and tells notes.
type watch struct {
	w    *World
	wake chan struct{} // there is an abort to spread
	quit chan struct{}
	over chan struct{}

	mu     sync.Mutex
	aborts []note
}

// note is kind, world and text.
type note struct {
	kind  byte
	world int64
	text  string
}

func (n note) bytes() []byte {
	b := make([]byte, noteBytes)
	b[0] = n.kind
	binary.LittleEndian.PutUint64(b[1:], uint64(n.world))
	size := copy(b[11:], n.text)
	binary.LittleEndian.PutUint16(b[9:], uint16(size))
	return b
}

func parseNote(b []byte) note {
	size := binary.LittleEndian.Uint16(b[9:])
	return note{b[0], int64(binary.LittleEndian.Uint64(b[1:])), string(b[11 : 11+size])}
}

// pulse is how often the watch looks for notes.
const pulse = 20 * time.Millisecond

func startWatch(w *World) *watch {
	h := &watch{w: w, wake: make(chan struct{}, 1), quit: make(chan struct{}), over: make(chan struct{})}
	go h.run()
	return h
}

func (h *watch) run() {
	defer close(h.over)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.wake:
		case <-h.quit:
			h.send()
			return
		}
		h.send()
		h.receive()
	}
}

// spread has all other processes told that a world has ended.
func (h *watch) spread(world int64, err error) {
	h.mu.Lock()
	h.aborts = append(h.aborts, note{noteAbort, world, err.Error()})
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *watch) send() {
	h.mu.Lock()
	notes := h.aborts
	h.aborts = nil
	h.mu.Unlock()
	for _, n := range notes {
		for r := range h.w.size {
			if r != h.w.rank {
				h.w.lib.tell(n.bytes(), r, noteAbort)
			}
		}
	}
}

func (h *watch) receive() {
	b := make([]byte, noteBytes)
	for {
		from, err := h.w.lib.hear(b)
		if from < 0 || err != nil {
			return
		}
		if n := parseNote(b); n.kind == noteAbort {
			h.w.aborts(n.world, n.text)
		}
	}
}

func (h *watch) end() {
	close(h.quit)
	<-h.over
}
