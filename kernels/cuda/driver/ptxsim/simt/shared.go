package simt

import (
	"bytes"

	"ofpeak/kernels/cuda/driver"
)

// Windows of the generic address space. Addresses of shared and local memory are the same there as in their own spaces.
const (
	sharedStart = 0x0400
	localStart  = 0x1000_0000
	windowSize  = 0x0100_0000
)

// stamp is one access: the clock at its time, whether it was atomic, whether several threads of the warp made it, and the thread.
type stamp uint32

const (
	stampThread = 1<<10 - 1
	stampMany   = 1 << 10
	stampAtomic = 1 << 11
	stampShift  = 12
	clockEnd    = 1 << (32 - stampShift)
)

func (s stamp) clock() uint32 { return uint32(s) >> stampShift }
func (s stamp) thread() int   { return int(s & stampThread) }
func (s stamp) warp() int     { return s.thread() / warpSize }

// shared is a block's shared memory with the accesses to each byte: its last write, its last read, and its last read by another warp than that.
// They are what is needed to tell whether a barrier lies between two accesses of which one is a write.
type shared struct {
	data     []byte
	write    []stamp
	read     []stamp
	other    []stamp
	inFlight []byte // 1 for each byte that an asynchronous copy will write
	flying   int    // how many there are
}

func newShared(size int) *shared {
	return &shared{
		data: make([]byte, size), write: make([]stamp, size), read: make([]stamp, size), other: make([]stamp, size), inFlight: make([]byte, size),
	}
}

// forget drops all accesses; what was written counts as not written.
func (s *shared) forget() {
	clear(s.write)
	clear(s.read)
	clear(s.other)
}

// access is what an instruction does to memory.
type access uint8

const (
	reading access = 1
	writing access = 2
	strong  access = 4 // may meet other blocks' strong accesses to the same place

	load   = reading
	store  = writing
	update = reading | writing | strong
)

// sharedAt checks an access of a lane to n bytes of shared memory, and gives them.
func (w *warp) sharedAt(lane int, addr uint64, n uint64, a access) []byte {
	s := w.block.shared
	off := addr - sharedStart
	if size := uint64(len(s.data)); off >= size || n > size-off {
		w.fault(lane, driver.ErrIllegalAddress, "%d bytes at %#x lie outside the block's %d bytes of shared memory, which start at %#x", n, addr, size, sharedStart)
	}
	if off%n != 0 {
		w.fault(lane, driver.ErrMisalignedAddress, "%d bytes at %#x of shared memory are misaligned", n, addr)
	}
	me := stamp(w.block.clock<<stampShift | uint32(w.index*warpSize+lane))
	if s.flying > 0 {
		if i := bytes.IndexByte(s.inFlight[off:off+n], 1); i >= 0 {
			w.fault(lane, driver.ErrLaunchFailed, "byte %#x of shared memory is the target of an asynchronous copy that was not waited for", sharedStart+off+uint64(i))
		}
	}
	writes, reads := s.write[off:off+n], s.read[off:off+n]
	for i := uint64(0); i < n; { // neighbours mostly have the same history
		wr, rd := writes[i], reads[i]
		end := i + 1
		for end < n && writes[end] == wr && reads[end] == rd {
			end++
		}
		if a&writing == 0 {
			w.checkRead(lane, off+i, wr, me)
			if rd != me {
				w.noteRead(s, off+i, off+end, me)
			}
		} else {
			w.noteWrite(s, lane, off+i, off+end, me, a&strong != 0)
		}
		i = end
	}
	return s.data[off : off+n]
}

// launchCopy marks bytes as targets of an asynchronous copy, or its end.
func (s *shared) launchCopy(addr, n uint64, flying bool) {
	mark, count := byte(0), -int(n)
	if flying {
		mark, count = 1, int(n)
	}
	s.flying += count
	for i := range n {
		s.inFlight[addr-sharedStart+i] = mark
	}
}

// unordered tells whether no barrier lies between an earlier access and one of thread me now.
func (w *warp) unordered(s, me stamp) bool {
	if s.clock() < w.block.synced || s.thread() == me.thread() && s&stampMany == 0 {
		return false
	}
	return s.warp() != me.warp() || s.clock() >= w.synced
}

// checkRead checks a read of a byte against its last write.
func (w *warp) checkRead(lane int, i uint64, wr, me stamp) {
	if wr.clock() < w.block.began {
		w.fault(lane, driver.ErrLaunchFailed, "byte %#x of shared memory is read before it is written", sharedStart+i)
	}
	if w.unordered(wr, me) {
		w.fault(lane, driver.ErrLaunchFailed, "race on byte %#x of shared memory: thread %v wrote it and no barrier lies between", sharedStart+i, w.block.thread(wr.thread()))
	}
}

// noteRead notes a read of bytes lo to hi, whose last read was the same.
func (w *warp) noteRead(s *shared, lo, hi uint64, me stamp) {
	r := s.read[lo]
	now := me
	switch {
	case r.warp() != me.warp():
		if r != 0 {
			fill(s.other[lo:hi], r)
		}
	case r.clock() >= w.synced && r.clock() >= w.block.synced && (r.thread() != me.thread() || r&stampMany != 0):
		now |= stampMany
	}
	fill(s.read[lo:hi], now)
}

// noteWrite checks and notes a write of bytes lo to hi, whose last write and last read were the same.
func (w *warp) noteWrite(s *shared, lane int, lo, hi uint64, me stamp, atomic bool) {
	wr := s.write[lo]
	if atomic {
		if wr.clock() < w.block.began {
			w.fault(lane, driver.ErrLaunchFailed, "byte %#x of shared memory is updated before it is written", sharedStart+lo)
		}
		me |= stampAtomic
	}
	if w.unordered(wr, me) && !(atomic && wr&stampAtomic != 0) {
		w.fault(lane, driver.ErrLaunchFailed, "race on byte %#x of shared memory: thread %v wrote it and no barrier lies between", sharedStart+lo, w.block.thread(wr.thread()))
	}
	w.checkReader(lane, lo, s.read[lo], me)
	for i, r := range s.other[lo:hi] {
		w.checkReader(lane, lo+uint64(i), r, me)
	}
	fill(s.write[lo:hi], me)
}

// checkReader checks a write of byte i against an earlier read.
func (w *warp) checkReader(lane int, i uint64, r, me stamp) {
	if r != 0 && w.unordered(r, me) {
		w.fault(lane, driver.ErrLaunchFailed, "race on byte %#x of shared memory: thread %v read it and no barrier lies between", sharedStart+i, w.block.thread(r.thread()))
	}
}

func fill(stamps []stamp, v stamp) {
	for i := range stamps {
		stamps[i] = v
	}
}
