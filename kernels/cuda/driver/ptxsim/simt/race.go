package simt

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"ofpeak/kernels/cuda/driver"
)

// Nothing orders the blocks of a launch, so what one of them writes to global memory no other may touch before the launch ends, unless all accesses are strong: atomic operations,
// or loads and stores that are volatile, relaxed, acquire or release (PTX ISA, section "Memory Consistency Model"). Whatever order the blocks happen to run in, a trail of
// each word tells.

// trail is who touched a word of four bytes in a launch: bits 0 to 3 the bytes that were read and 4 to 7 those written, then the reader and the writer, as a block's number plus
// one, or several; whether every write was strong; whether the word's bytes have a trail each; and the segment's number of the launch.
type trail uint64

const (
	readerShift, writerShift, turnShift = 8, 27, 48
	several                             = 1<<19 - 1
	strongWrites                        = trail(1) << 46
	split                               = trail(1) << 47
)

func (t trail) reader() uint64 { return uint64(t>>readerShift) & several }
func (t trail) writer() uint64 { return uint64(t>>writerShift) & several }
func (t trail) read() uint64   { return uint64(t) & 0xf }
func (t trail) written() uint64 {
	return uint64(t) >> 4 & 0xf
}

// verdict is what an access does to a trail.
type verdict uint8

const (
	fine  verdict = iota
	apart         // the trail must be split: different blocks touch different bytes
	race
)

// next is the trail after block me, as its number plus one, has accessed some of a word's bytes.
func (t trail) next(me, bytes uint64, a access) (trail, verdict) {
	other := func(who, touched uint64) verdict {
		switch {
		case who == 0 || who == me:
			return fine
		case touched&bytes != 0:
			return race
		}
		return apart
	}
	if a&(writing|strong) == 0 {
		if v := other(t.writer(), t.written()); v != fine {
			return t, v
		}
		switch who := t.reader(); {
		case who == 0 || who == me:
			return t | trail(me<<readerShift|bytes), fine
		case t.read() == bytes:
			return t | several<<readerShift, fine
		case who == several && t.read()&bytes == bytes:
			return t, fine
		}
		return t, apart
	}
	if v := other(t.reader(), t.read()); v != fine {
		return t, v
	}
	switch who := t.writer(); {
	case who == 0 && a&strong != 0:
		t |= strongWrites
	case who == 0:
	case a&strong == 0 || t&strongWrites == 0:
		if v := other(who, t.written()); v != fine {
			return t, v
		}
		if a&strong == 0 {
			t &^= strongWrites
		}
	case who != me && t.written() != bytes:
		return t, apart
	case who != me:
		return t | several<<writerShift, fine
	}
	return t | trail(me<<writerShift|bytes<<4), fine
}

// trails are those of a segment's words.
type trails struct {
	words  []atomic.Uint64
	launch atomic.Uint64 // that touched the segment last
	turn   uint16        // how many launches did, since the words were cleared

	mu    sync.Mutex
	bytes map[uint64]*[4]trail // of words that are split
}

var launches atomic.Uint64

// enter prepares a segment's trails for a launch, before its first access.
func (s *segment) enter(launch uint64) {
	t := &s.trails
	if t.launch.Load() == launch {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.launch.Load() == launch {
		return
	}
	if t.words == nil {
		t.words = make([]atomic.Uint64, (len(s.data)+3)/4)
	}
	if t.turn++; t.turn == 0 { // trails of 65536 launches ago would be taken for this one's
		clear(t.words)
		t.turn, t.bytes = 1, nil
	}
	t.launch.Store(launch)
}

// follow checks an access of a lane to n bytes of global memory against those of other blocks.
func (w *warp) follow(lane int, s *segment, off, n uint64, a access) {
	me, turn := w.block.number, trail(s.trails.turn)<<turnShift
	bytes := uint64(0xf)
	if n < 4 {
		bytes = (1<<n - 1) << (off % 4)
	}
	mine, common := turn|trail(me<<writerShift|bytes<<4), turn
	if a == load {
		mine, common = turn|trail(me<<readerShift|bytes), turn|trail(several<<readerShift|bytes)
	}
	words := s.trails.words
	for i := off / 4; i <= (off+n-1)/4; i++ {
		if now := trail(words[i].Load()); now != mine && now != common || now == turn {
			w.followWord(lane, s, i, bytes, a)
		}
	}
}

func (w *warp) followWord(lane int, s *segment, i, bytes uint64, a access) {
	turn := trail(s.trails.turn) << turnShift
	for {
		word := &s.trails.words[i]
		old := trail(word.Load())
		t := old
		if t>>turnShift<<turnShift != turn {
			t = turn
		}
		if t&split != 0 {
			w.followBytes(lane, s, i, bytes, a)
			return
		}
		to, v := t.next(w.block.number, bytes, a)
		switch v {
		case race:
			w.raced(lane, s, 4*i, bytes, t, a)
		case apart:
			to = turn | split
			s.trails.mu.Lock()
			s.trails.split(i, t)
			s.trails.mu.Unlock()
		}
		if to != old && !word.CompareAndSwap(uint64(old), uint64(to)) {
			continue
		}
		if v == fine {
			return
		}
	}
}

// split gives each byte of a word its part of the word's trail.
func (ts *trails) split(i uint64, t trail) {
	if ts.bytes == nil {
		ts.bytes = map[uint64]*[4]trail{}
	}
	var parts [4]trail
	for b := range parts {
		part := t >> turnShift << turnShift
		if t.read()>>b&1 == 1 {
			part |= trail(t.reader()<<readerShift | 1)
		}
		if t.written()>>b&1 == 1 {
			part |= trail(t.writer()<<writerShift|1<<4) | t&strongWrites
		}
		parts[b] = part
	}
	ts.bytes[i] = &parts
}

func (w *warp) followBytes(lane int, s *segment, i, bytes uint64, a access) {
	s.trails.mu.Lock()
	defer s.trails.mu.Unlock()
	for b := range uint64(4) {
		if bytes>>b&1 == 0 {
			continue
		}
		part := &s.trails.bytes[i][b]
		to, v := part.next(w.block.number, 1, a)
		if v == race {
			w.raced(lane, s, 4*i+b, 1, *part, a)
		}
		*part = to
	}
}

// raced ends the run.
func (w *warp) raced(lane int, s *segment, off, bytes uint64, t trail, a access) {
	who, touched, did, what := t.writer(), t.written(), "wrote", "read"
	if a&writing != 0 {
		what = "written"
	}
	if r := t.reader(); a&(writing|strong) != 0 && r != 0 && r != w.block.number && t.read()&bytes != 0 {
		who, touched, did = r, t.read(), "read"
	}
	by := "several blocks"
	if who != several {
		by = "block " + w.block.grid.place(int(who)-1)
	}
	w.fault(lane, driver.ErrLaunchFailed, "race at %#x of global memory: it is %s here, and %s %s it in the same launch", s.base+off+uint64(bits.TrailingZeros64(touched&bytes)), what, by, did)
}
