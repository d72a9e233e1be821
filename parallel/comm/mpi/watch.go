//go:build mpi

package mpi

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"ofpeak/parallel/comm"
)

// A note is what processes tell each other past their collectives: what they do, and that a world has ended.
const (
	noteBytes = 1024
	noteHead  = 36
	noteState = 0
	noteAbort = 1
	noteLost  = 2 // an abort after which a process will not come back
)

// note is what a note says.
type note struct {
	kind    byte
	waiting bool
	world   int64
	done    int64         // calls ended
	cpu     time.Duration // used
	text    string
}

func (n note) bytes() []byte {
	b := make([]byte, noteBytes)
	b[0] = n.kind
	if n.waiting {
		b[1] = 1
	}
	binary.LittleEndian.PutUint64(b[2:], uint64(n.world))
	binary.LittleEndian.PutUint64(b[10:], uint64(n.done))
	binary.LittleEndian.PutUint64(b[18:], uint64(n.cpu))
	binary.LittleEndian.PutUint16(b[26:], uint16(copy(b[noteHead:], n.text)))
	return b
}

func parseNote(b []byte) note {
	size := int(binary.LittleEndian.Uint16(b[26:]))
	return note{b[0], b[1] == 1, int64(binary.LittleEndian.Uint64(b[2:])), int64(binary.LittleEndian.Uint64(b[10:])),
		time.Duration(binary.LittleEndian.Uint64(b[18:])), string(b[noteHead : noteHead+size])}
}

const (
	pulse = 20 * time.Millisecond  // how often the watch looks for notes
	tells = 250 * time.Millisecond // how often it tells what this process does
)

// Stall is how long a world may stand still, and a process be silent, before the world is aborted: what this and the abort itself take is under ten seconds.
const Stall = 5 * time.Second

// peer is what is known of a process.
type peer struct {
	note
	heard time.Time
	calm  comm.Calm
}

// watch is the goroutine that hears and tells notes, and judges by them whether the world goes on.
type watch struct {
	w    *World
	wake chan struct{} // there is an abort to spread
	quit chan struct{}
	over chan struct{}

	peers []peer
	last  time.Time // that it ran
	told  time.Time
	world int64 // that peers are about

	mu     sync.Mutex
	aborts []note
}

func startWatch(w *World) *watch {
	h := &watch{w: w, wake: make(chan struct{}, 1), quit: make(chan struct{}), over: make(chan struct{}), peers: make([]peer, w.size)}
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
	n := note{kind: noteAbort, world: world, text: err.Error()}
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
			h.w.aborts(n.world, n.text, n.kind == noteLost)
		default:
			h.peers[from].take(n, now)
		}
	}
}

func (p *peer) take(n note, now time.Time) {
	if n.world != p.world {
		p.calm = comm.Calm{}
	}
	p.note, p.heard = n, now
	p.calm.Note(now, n.done, n.cpu)
}

// look tells what this process does, and aborts a world that stands still.
func (h *watch) look(now time.Time) {
	h.w.mu.Lock()
	f := h.w.current
	h.w.mu.Unlock()
	if f == nil {
		f = h.w.base.f
	}
	if f.id != h.world || now.Sub(h.last) > 4*tells { // another world, or this process itself was stopped
		for r := range h.peers {
			h.peers[r].heard = now
			h.peers[r].calm = comm.Calm{}
		}
	}
	h.world, h.last = f.id, now
	if now.Sub(h.told) < tells {
		return
	}
	h.told = now
	s := f.journal.State()
	cpu, _ := comm.ProcessTime()
	mine := note{waiting: s.Waiting, world: f.id, done: s.Done, cpu: cpu, text: s.At(now)}
	h.tell(mine)
	h.file(mine)
	h.peers[h.w.rank].take(mine, now)
	if f == h.w.base.f || h.w.rank >= f.ranks { // between worlds, or outside of one: whoever waits for the others must know that they are there
		if silent := silence(now, h.peers); len(silent) > 0 && h.w.Lost() == nil {
			err := silenceError(now, h.peers, silent)
			h.w.lose(err)
			h.w.base.f.set(err)
		}
		return
	}
	if f.get() != nil || f.ranks < 2 {
		return
	}
	if err := judge(now, f.id, h.peers[:f.ranks]); err != nil {
		h.w.abort(f, err, true)
	}
}

// file keeps the state where it outlives this process. It is for a message only, so that nothing depends on its success.
func (h *watch) file(n note) {
	if dir := os.Getenv(StatusEnv); dir != "" {
		_ = os.WriteFile(filepath.Join(dir, strconv.Itoa(h.w.rank)), fmt.Appendf(nil, "%d %s\n", os.Getpid(), n.text), 0o600)
	}
}

// judge is nil, or says which ranks have gone silent or stand still, and what each did last.
func judge(now time.Time, world int64, peers []peer) error {
	var still []int
	silent := silence(now, peers)
	calm, waiting := true, false
	for r, p := range peers {
		calm = calm && p.world == world && p.calm.For(now) >= Stall
		waiting = waiting || p.waiting
		if !p.waiting {
			still = append(still, r)
		}
	}
	switch {
	case len(silent) > 0:
		return silenceError(now, peers, silent)
	case !calm || !waiting:
		return nil
	case len(still) == 0:
		for r := range peers {
			still = append(still, r)
		}
		return fmt.Errorf("all ranks wait and none computes: deadlock; %s", actions(peers, still))
	}
	return fmt.Errorf("%s stalled: others wait for it; %s", names(still), actions(peers, still))
}

// silence are the ranks that have not been heard of for too long.
func silence(now time.Time, peers []peer) []int {
	var silent []int
	for r, p := range peers {
		if now.Sub(p.heard) >= Stall {
			silent = append(silent, r)
		}
	}
	return silent
}

func silenceError(now time.Time, peers []peer, silent []int) error {
	return fmt.Errorf("%s silent for %.1f s: stopped, or gone; %s", names(silent), now.Sub(peers[silent[0]].heard).Seconds(), actions(peers, silent))
}

func names(ranks []int) string {
	var parts []string
	for _, r := range ranks {
		parts = append(parts, fmt.Sprintf("rank %d", r))
	}
	return strings.Join(parts, ", ")
}

// actions are what ranks did last, and then what the first other did.
func actions(peers []peer, ranks []int) string {
	var parts []string
	seen := map[int]bool{}
	for _, r := range ranks {
		seen[r] = true
		parts = append(parts, fmt.Sprintf("rank %d: %s", r, peers[r].text))
	}
	for r, p := range peers {
		if !seen[r] {
			parts = append(parts, fmt.Sprintf("rank %d: %s", r, p.text))
			break
		}
	}
	return strings.Join(parts, "; ")
}

func (h *watch) end() {
	close(h.quit)
	<-h.over
}
