//go:build mpi

package mpi

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"ofpeak/parallel/comm"
)

// A note is what processes tell each other past their collectives: what they do, and that a world has ended.
const (
	noteBytes = 1024
	noteHead  = 60
	noteState = 0
	noteAbort = 1
	noteLost  = 2 // an abort after which a process will not come back
)

// note is what a note says: the report of a rank, or as its text why a world has ended.
type note struct {
	kind  byte
	world int64
	comm.Report
}

func (n note) bytes() []byte {
	b := make([]byte, noteBytes)
	b[0] = n.kind
	if n.Waiting {
		b[1] = 1
	}
	for i, v := range []int64{n.world, n.Done, int64(n.CPU), int64(n.Op), int64(n.Longest), int64(n.Moving)} {
		binary.LittleEndian.PutUint64(b[2+8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint16(b[noteHead-2:], uint16(copy(b[noteHead:], n.Text)))
	return b
}

func parseNote(b []byte) note {
	var v [6]int64
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(b[2+8*i:]))
	}
	size := int(binary.LittleEndian.Uint16(b[noteHead-2:]))
	return note{b[0], v[0], comm.Report{Waiting: b[1] == 1, Done: v[1], CPU: time.Duration(v[2]), Op: time.Duration(v[3]), Longest: time.Duration(v[4]),
		Moving: time.Duration(v[5]), Text: string(b[noteHead : noteHead+size])}}
}

const (
	pulse = 20 * time.Millisecond  // how often the watch looks for notes
	tells = 250 * time.Millisecond // how often it tells what this process does
)

// watch is the goroutine that hears and tells notes, and judges by them whether the world goes on.
type watch struct {
	w     *World
	stall time.Duration // how long a world may stand still, and a process be silent; 0: for ever
	wake  chan struct{} // there is an abort to spread
	quit  chan struct{}
	over  chan struct{}

	peers   *comm.Watch // this process among them
	heard   []time.Time // of each
	worlds  []int64     // that each is about
	last    time.Time   // that it ran
	told    time.Time
	current int64 // world

	mu     sync.Mutex
	aborts []note
}

func startWatch(w *World, stall time.Duration) *watch {
	h := &watch{w: w, stall: stall, wake: make(chan struct{}, 1), quit: make(chan struct{}), over: make(chan struct{}),
		peers: comm.NewWatch(w.size, stall), heard: make([]time.Time, w.size), worlds: make([]int64, w.size)}
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
		now := time.Now()
		h.receive(now)
		h.look(now)
	}
}

// spread has all other processes told that a world has ended.
func (h *watch) spread(world int64, err error, lost bool) {
	n := note{kind: noteAbort, world: world, Report: comm.Report{Text: err.Error()}}
	if lost {
		n.kind = noteLost
	}
	h.mu.Lock()
	h.aborts = append(h.aborts, n)
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
		h.tell(n)
	}
}

// tell gives a note to all others. One that cannot be told is to a process that is gone, which silence tells too.
func (h *watch) tell(n note) {
	for r := range h.w.size {
		if r != h.w.rank {
			_ = h.w.lib.tell(n.bytes(), r, min(int(n.kind), noteAbort))
		}
	}
}

func (h *watch) receive(now time.Time) {
	b := make([]byte, noteBytes)
	for {
		from, err := h.w.lib.hear(b)
		if from < 0 || err != nil {
			return
		}
		n := parseNote(b)
		switch {
		case n.kind != noteState:
			h.w.aborts(n.world, n.Text, n.kind == noteLost)
		default:
			h.take(from, now, n)
		}
	}
}

func (h *watch) take(from int, now time.Time, n note) {
	if n.world != h.worlds[from] {
		h.peers.Forget(from)
	}
	h.heard[from], h.worlds[from] = now, n.world
	h.peers.Take(from, now, n.Report)
}

// look tells what this process does, and aborts a world that stands still.
func (h *watch) look(now time.Time) {
	f := h.w.watched()
	if f.id != h.current || now.Sub(h.last) > 4*tells { // another world, or this process itself was stopped
		for r := range h.heard {
			h.heard[r] = now
			h.peers.Forget(r)
		}
	}
	h.current, h.last = f.id, now
	if now.Sub(h.told) < tells {
		return
	}
	h.told = now
	cpu, _ := comm.ProcessTime()
	mine := note{world: f.id, Report: f.journal.State().Report(now, cpu)}
	h.tell(mine)
	keepStatus(h.w.launch, mine.Text)
	h.take(h.w.rank, now, mine)
	if h.stall > 0 {
		h.judge(now, f)
	}
}

// judge aborts a world that stands still. Between worlds, or outside of one, whoever waits for the others must know that they are there.
func (h *watch) judge(now time.Time, f *fault) {
	switch {
	case f == h.w.base.f || h.w.rank >= f.ranks:
		if err := h.silent(now, h.w.size); err != nil && h.w.Lost() == nil {
			h.w.lose(err)
			h.w.base.f.set(err)
		}
	case f.get() != nil || f.ranks < 2:
	default:
		err := h.silent(now, f.ranks)
		if err == nil && !slices.ContainsFunc(h.worlds[:f.ranks], func(world int64) bool { return world != f.id }) {
			err = h.peers.Err(now, f.ranks)
		}
		if err != nil {
			h.w.abort(f, err, true)
		}
	}
}

// silent is nil, or says which of the first so many ranks have not been heard of for too long.
func (h *watch) silent(now time.Time, ranks int) error {
	var silent []int
	for r, at := range h.heard[:ranks] {
		if now.Sub(at) >= h.stall {
			silent = append(silent, r)
		}
	}
	if len(silent) == 0 {
		return nil
	}
	return fmt.Errorf("%s silent for %.1f s: stopped, or gone; %s", comm.Names(silent), now.Sub(h.heard[silent[0]]).Seconds(), h.peers.Actions(silent, ranks))
}

func (h *watch) end() {
	close(h.quit)
	<-h.over
}
