package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/rendezvous"
)

// World is this process among those of its job.
type World struct {
	rank, size int
	peers      []*peer // by rank; nil where there is no connection
	exit       func(status int)
	quit       chan struct{}
	ticking    sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	inbox   [][]byte // shared by the first process, not taken yet
	worlds  int64    // begun so far; the number of the current one
	current *rendezvous.Fault
	early   map[int64]string // worlds that ended elsewhere before they began here
	lost    error
	leaving bool
}

func newWorld(rank, size int) *World {
	w := &World{rank: rank, size: size, peers: make([]*peer, size), exit: os.Exit, quit: make(chan struct{}), early: map[int64]string{}}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// start begins to listen to the others.
func (w *World) start() {
	for r, p := range w.peers {
		if p != nil {
			go w.hear(r, p)
		}
	}
	w.ticking.Go(w.tick)
}

// Rank is this process's number.
func (w *World) Rank() int { return w.rank }

// Size is the number of processes.
func (w *World) Size() int { return w.size }

// Share gives everyone the first process's bytes; see comm.Processes.
func (w *World) Share(ctx context.Context, b []byte) ([]byte, error) {
	if w.rank == 0 {
		if err := w.Lost(); err != nil {
			return nil, err
		}
		w.tell(message{kind: shared, text: b}, 0)
		return b, nil
	}
	stop := context.AfterFunc(ctx, w.wake)
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case len(w.inbox) > 0:
			b := w.inbox[0]
			w.inbox = w.inbox[1:]
			return b, nil
		case w.lost != nil:
			return nil, w.lost
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		w.changed.Wait()
	}
}

func (w *World) wake() {
	w.mu.Lock()
	w.changed.Broadcast()
	w.mu.Unlock()
}

// World begins a world of the first so many processes. All processes call it; those outside of it get nil.
func (w *World) World(ranks int) (comm.Fate, error) {
	if ranks < 1 || ranks > w.size {
		return nil, fmt.Errorf("a world of %d ranks does not fit %d processes", ranks, w.size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost != nil {
		return nil, w.lost
	}
	w.worlds++
	w.current = rendezvous.NewFault()
	if why, ok := w.early[w.worlds]; ok {
		w.current.Set(errors.New(why))
	}
	if w.rank >= ranks {
		return nil, nil
	}
	return &fate{w, w.worlds, w.current}, nil
}

// fate is the end of one world.
type fate struct {
	w      *World
	number int64
	fault  *rendezvous.Fault
}

// Err is why the world was aborted, in any process, or nil.
func (f *fate) Err() error { return f.fault.Get() }

// Abort tells all processes that the world has ended; the first call decides the error.
func (f *fate) Abort(err error) {
	if f.fault.Get() != nil {
		return
	}
	f.fault.Set(err)
	f.w.tell(message{kind: ended, number: f.number, text: []byte(err.Error())}, f.w.rank)
}

// Release has nothing to free.
func (w *World) Release() error { return nil }

// Lost is why the job cannot go on, or nil.
func (w *World) Lost() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// lose notes that the job cannot go on, and ends the world that is under way.
func (w *World) lose(err error) {
	w.mu.Lock()
	first := w.lost == nil && !w.leaving
	if first {
		w.lost = err
	}
	fault := w.current
	w.changed.Broadcast()
	w.mu.Unlock()
	if !first {
		return
	}
	if fault != nil {
		fault.Set(err)
	}
	w.tell(message{kind: lost, text: []byte(err.Error())}, w.rank)
}

// tell gives a message to all that there is a connection to, but one. The first process passes on what it is told.
func (w *World) tell(m message, but int) {
	for r, p := range w.peers {
		if p != nil && r != but && p.write(m) != nil && m.kind != lost && m.kind != bye && m.kind != dying {
			w.lose(fmt.Errorf("rank %d does not listen: stopped, or gone", r))
		}
	}
}

// hear takes what one process tells.
func (w *World) hear(from int, p *peer) {
	for {
		m, err := read(p.conn)
		if err != nil {
			p.mu.Lock()
			left := p.left
			p.left = true
			p.mu.Unlock()
			w.wake()
			if !left {
				w.lose(fmt.Errorf("rank %d is gone: %w", from, err))
			}
			return
		}
		p.mu.Lock()
		p.heard = time.Now()
		p.left = p.left || m.kind == bye
		p.mu.Unlock()
		w.take(m, from)
	}
}

func (w *World) take(m message, from int) {
	switch m.kind {
	case shared:
		w.mu.Lock()
		w.inbox = append(w.inbox, m.text)
		w.mu.Unlock()
	case ended:
		w.mu.Lock()
		fault := w.current
		if m.number != w.worlds {
			w.early[m.number] = string(m.text)
			fault = nil
		}
		w.mu.Unlock()
		if fault != nil {
			fault.Set(errors.New(string(m.text)))
		}
	case lost:
		w.lose(errors.New(string(m.text)))
	case dying:
		w.tell(m, from)
		w.exit(int(m.number))
	}
	if w.rank == 0 && m.kind == ended {
		w.tell(m, from)
	}
	w.wake()
}

// tick tells the others that this process lives, and looks whether they do.
func (w *World) tick() {
	t := time.NewTicker(pulse)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-w.quit:
			return
		case <-t.C:
		}
		now := time.Now()
		stopped := now.Sub(last) > silence/2 // this process itself was
		last = now
		for r, p := range w.peers {
			if p == nil {
				continue
			}
			p.mu.Lock()
			if stopped {
				p.heard = now
			}
			quiet, left := now.Sub(p.heard), p.left
			p.mu.Unlock()
			if !left && quiet > silence {
				w.lose(fmt.Errorf("rank %d silent for %.1f s: stopped, or gone", r, quiet.Seconds()))
			}
		}
		w.tell(message{kind: alive}, w.rank)
	}
}

// Stop leaves the job. All processes call it, and wait for each other for as long as nobody is lost.
func (w *World) Stop() error {
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	w.tell(message{kind: bye}, w.rank)
	w.mu.Lock()
	for w.lost == nil && !w.allLeft() {
		w.changed.Wait()
	}
	w.mu.Unlock()
	close(w.quit)
	w.ticking.Wait()
	return w.hangUp()
}

func (w *World) allLeft() bool {
	for _, p := range w.peers {
		if p == nil {
			continue
		}
		p.mu.Lock()
		left := p.left
		p.mu.Unlock()
		if !left {
			return false
		}
	}
	return true
}

func (w *World) hangUp() error {
	var errs []error
	for _, p := range w.peers {
		if p != nil {
			errs = append(errs, p.conn.Close())
		}
	}
	return errors.Join(errs...)
}

// Die ends all processes of the job at once, this one with them, with an exit status.
func (w *World) Die(status int) {
	w.tell(message{kind: dying, number: int64(status)}, w.rank)
	w.exit(status)
}
