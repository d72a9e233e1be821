package gemm

import "unsafe"

// stretch is memory that is packed next, for tiles to bring into L2 while they
// multiply: so many rows of so many bytes, pitch bytes apart. It is only ever fetched,
// so the collector need not know of it.
type stretch struct {
	at           uintptr // what is left of the first row
	width, pitch int
	rows, row    int // all of them, and those whose line at at was fetched
}

// stretchOf returns the memory of k elements of the first lines of a view.
func stretchOf(v view, lines, k, size int) stretch {
	s := stretch{at: uintptr(v.base), width: k * size, rows: lines, pitch: int(v.line)}
	if v.step != uintptr(size) {
		s.width, s.rows, s.pitch = lines*size, k, int(v.step)
	}
	before := int(s.at % lineBytes) // of the first line
	if s.rows > 0 && s.width == s.pitch {
		s.width, s.pitch, s.rows = lineBytes, lineBytes, ceil(before+s.rows*s.pitch, lineBytes)
	} else {
		s.width += before
	}
	return s
}

// lineBytes is the size of a cache line.
const lineBytes = 64

// take returns where the next n fetches begin and the distance from one to the next.
func (s *stretch) take(n int) (at uintptr, step int) {
	at = s.at + uintptr(s.row*s.pitch)
	if s.row += n; s.row >= s.rows {
		s.row = 0
		s.at += lineBytes
		s.width -= lineBytes
	}
	return at, s.pitch
}

// fetcher is what is fetched first, and what after that.
type fetcher [2]stretch

// take returns where the next n fetches of a tile begin and the distance from one to
// the next; where nothing is left to be fetched, that is a place that the tile has in
// cache anyway.
func (f *fetcher) take(b *uint32, n int) (at uintptr, step int) {
	for i := range f {
		if s := &f[i]; s.width > 0 && s.rows > 0 {
			return s.take(n)
		}
	}
	return uintptr(unsafe.Pointer(b)), 0
}
