package simt

import (
	"encoding/binary"

	"ofpeak/kernels/cuda/driver"
)

// local is one thread's own memory.
type local struct{ data, written []byte }

func newLocal(size int) local { return local{make([]byte, size), make([]byte, size)} }

// at checks an access of a lane to n bytes, and gives them.
type at func(w *warp, lane int, addr uint64, n uint64, a access) []byte

// spaces are the state spaces of addresses. Const and global share their addresses.
var spaces = map[string]at{
	"":       (*warp).genericAt,
	"global": (*warp).globalAt,
	"const":  (*warp).globalAt,
	"shared": (*warp).sharedAt,
	"local":  (*warp).localAt,
}

func (w *warp) genericAt(lane int, addr uint64, n uint64, a access) []byte {
	switch {
	case addr-sharedStart < windowSize:
		return w.sharedAt(lane, addr, n, a)
	case addr-localStart < windowSize:
		return w.localAt(lane, addr, n, a)
	}
	return w.globalAt(lane, addr, n, a)
}

func (w *warp) globalAt(lane int, addr uint64, n uint64, a access) []byte {
	s := w.near
	if s == nil || !s.holds(addr, n) {
		if s = w.block.grid.memory.find(addr, n); s == nil {
			w.fault(lane, driver.ErrIllegalAddress, "%d bytes at %#x of global memory belong to no allocation", n, addr)
		}
		s.enter(w.block.grid.launch)
		w.near = s
	}
	if addr%n != 0 {
		w.fault(lane, driver.ErrMisalignedAddress, "%d bytes at %#x of global memory are misaligned", n, addr)
	}
	off := addr - s.base
	if !use(s.written[off:off+n], a) {
		w.fault(lane, driver.ErrLaunchFailed, "%d bytes at %#x of global memory are read before they are written", n, addr)
	}
	if w.block.number != 0 {
		w.follow(lane, s, off, n, a)
	}
	w.block.grid.memory.watch.note(s, off, n, a&reading != 0, a&writing != 0)
	return s.data[off : off+n]
}

func (w *warp) localAt(lane int, addr uint64, n uint64, a access) []byte {
	off := addr - localStart
	size := uint64(w.kernel.Local)
	if off >= size || n > size-off {
		w.fault(lane, driver.ErrIllegalAddress, "%d bytes at %#x lie outside the thread's %d bytes of local memory", n, addr, size)
	}
	if off%n != 0 {
		w.fault(lane, driver.ErrMisalignedAddress, "%d bytes at %#x of local memory are misaligned", n, addr)
	}
	l := w.local[lane]
	if !use(l.written[off:off+n], a) {
		w.fault(lane, driver.ErrLaunchFailed, "%d bytes at %#x of local memory are read before they are written", n, addr)
	}
	return l.data[off : off+n]
}

// use marks bytes as written, or tells whether they are all written.
func use(written []byte, a access) bool {
	if a&reading != 0 {
		if len(written) == 4 {
			return binary.LittleEndian.Uint32(written) == 0x01010101
		}
		for _, b := range written {
			if b == 0 {
				return false
			}
		}
		return true
	}
	if len(written) == 4 {
		binary.LittleEndian.PutUint32(written, 0x01010101)
		return true
	}
	mark(written)
	return true
}

// get reads 1, 2, 4 or 8 bytes, zero-extended.
func get(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// put writes the low 1, 2, 4 or 8 bytes of v.
func put(b []byte, v uint64) {
	switch len(b) {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}
