package simt

import (
	"fmt"
	"slices"
	"sync"

	"ofpeak/kernels/cuda/driver"
)

// Memory is a device's global memory: segments apart from one another, so that no access past one reaches the next. Allocation is not safe while kernels run.
type Memory struct {
	segments []*segment // by address
	next     uint64
	limit    uint64
	used     int64
	capacity int64
	atomics  sync.Mutex
	peers    []*Memory
	watch    *Footprint
}

// segment is one allocation.
type segment struct {
	base    uint64
	data    []byte
	written []byte // 1 for each byte that holds a value
	touch   []byte // by word, for a Footprint
	noted   bool
	trails  trails
}

const (
	segmentAlign = 256
	segmentGap   = 1 << 16 // unused addresses behind each segment
)

// NewMemory makes a memory of some capacity whose addresses lie in [base, base+capacity) many times over, so that freed ones are not used again soon.
func NewMemory(base uint64, capacity int64) *Memory {
	return &Memory{next: base, limit: base + 1<<44, capacity: capacity}
}

// Used is the number of bytes allocated.
func (m *Memory) Used() int64 { return m.used }

// Segments is the number of allocations.
func (m *Memory) Segments() int { return len(m.segments) }

// Alloc gives an address, or driver.ErrOutOfMemory.
func (m *Memory) Alloc(bytes int64) (uint64, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("allocating %d bytes: %w", bytes, driver.ErrInvalidValue)
	}
	if m.used+bytes > m.capacity || m.next+uint64(bytes) > m.limit {
		return 0, fmt.Errorf("%d bytes asked, %d of %d in use: %w", bytes, m.used, m.capacity, driver.ErrOutOfMemory)
	}
	s := &segment{base: m.next, data: make([]byte, bytes), written: make([]byte, bytes)}
	m.segments = append(m.segments, s)
	m.used += bytes
	m.next = (m.next + uint64(bytes) + segmentGap + segmentAlign - 1) / segmentAlign * segmentAlign
	return s.base, nil
}

// Free returns what Alloc gave.
func (m *Memory) Free(base uint64) error {
	i, found := m.search(base)
	if !found {
		return fmt.Errorf("freeing %#x, which is no allocation: %w", base, driver.ErrInvalidValue)
	}
	m.used -= int64(len(m.segments[i].data))
	m.segments = slices.Delete(m.segments, i, i+1)
	return nil
}

func (m *Memory) search(addr uint64) (int, bool) {
	return slices.BinarySearchFunc(m.segments, addr, func(s *segment, a uint64) int {
		switch {
		case s.base < a:
			return -1
		case s.base > a:
			return 1
		}
		return 0
	})
}

// AddPeer lets kernels reach another device's memory.
func (m *Memory) AddPeer(p *Memory) { m.peers = append(m.peers, p) }

// find is the segment that holds n bytes at addr, a peer's too, or nil.
func (m *Memory) find(addr, n uint64) *segment {
	if s := m.own(addr, n); s != nil {
		return s
	}
	for _, p := range m.peers {
		if s := p.own(addr, n); s != nil {
			return s
		}
	}
	return nil
}

func (m *Memory) own(addr, n uint64) *segment {
	i, found := m.search(addr)
	if !found {
		i--
	}
	if i < 0 || !m.segments[i].holds(addr, n) {
		return nil
	}
	return m.segments[i]
}

// Holds tells whether n bytes at addr are allocated, here or on a peer.
func (m *Memory) Holds(addr uint64, n int64) bool { return n >= 0 && m.find(addr, uint64(n)) != nil }

// Copy copies n bytes that do not overlap. Bytes that were never written stay so.
func (m *Memory) Copy(dst, src uint64, n int64) error { return m.CopyFrom(dst, m, src, n) }

// CopyFrom is Copy from another device's memory, a peer or not.
func (m *Memory) CopyFrom(dst uint64, other *Memory, src uint64, n int64) error {
	to, from := m.find(dst, uint64(n)), other.find(src, uint64(n))
	if to == nil || from == nil {
		return fmt.Errorf("copying %d bytes from %#x to %#x: %w", n, src, dst, driver.ErrInvalidValue)
	}
	if to == from && max(dst, src)-min(dst, src) < uint64(n) {
		return fmt.Errorf("copying %d bytes from %#x to %#x, which overlap: %w", n, src, dst, driver.ErrInvalidValue)
	}
	d, s := dst-to.base, src-from.base
	m.watch.note(to, d, uint64(n), false, true)
	m.watch.note(from, s, uint64(n), true, false)
	copy(to.data[d:], from.data[s:s+uint64(n)])
	copy(to.written[d:], from.written[s:s+uint64(n)])
	return nil
}

// Fill sets memory to copies of a pattern.
func (m *Memory) Fill(addr uint64, pattern []byte, copies int64) error {
	n := int64(len(pattern)) * copies
	s := m.find(addr, uint64(n))
	if s == nil {
		return fmt.Errorf("filling %d bytes at %#x: %w", n, addr, driver.ErrInvalidValue)
	}
	if addr%uint64(len(pattern)) != 0 {
		return fmt.Errorf("filling words of %d bytes at %#x: %w", len(pattern), addr, driver.ErrInvalidValue)
	}
	off := addr - s.base
	m.watch.note(s, off, uint64(n), false, true)
	b := s.data[off : off+uint64(n)]
	for i := range b {
		b[i] = pattern[i%len(pattern)]
	}
	mark(s.written[off : off+uint64(n)])
	return nil
}

func (s *segment) holds(addr, n uint64) bool {
	size := uint64(len(s.data))
	return addr-s.base < size && n <= size-(addr-s.base)
}

// Read copies device memory to dst. Reading what was never written is an error.
func (m *Memory) Read(dst []byte, addr uint64) error {
	s := m.find(addr, uint64(len(dst)))
	if s == nil {
		return fmt.Errorf("reading %d bytes at %#x: %w", len(dst), addr, driver.ErrInvalidValue)
	}
	off := addr - s.base
	if i := slices.Index(s.written[off:off+uint64(len(dst))], 0); i >= 0 {
		return fmt.Errorf("reading byte %d of %d at %#x, which was never written: %w", i, len(dst), addr, driver.ErrInvalidValue)
	}
	m.watch.note(s, off, uint64(len(dst)), true, false)
	copy(dst, s.data[off:])
	return nil
}

// Write copies src to device memory.
func (m *Memory) Write(addr uint64, src []byte) error {
	s := m.find(addr, uint64(len(src)))
	if s == nil {
		return fmt.Errorf("writing %d bytes at %#x: %w", len(src), addr, driver.ErrInvalidValue)
	}
	off := addr - s.base
	m.watch.note(s, off, uint64(len(src)), false, true)
	copy(s.data[off:], src)
	mark(s.written[off : off+uint64(len(src))])
	return nil
}

func mark(written []byte) {
	for i := range written {
		written[i] = 1
	}
}
