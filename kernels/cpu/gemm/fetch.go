package gemm

import "unsafe"

// walk is an order of cache lines for tiles to fetch: those of a row of memory, then
// those of the next. Tiles move it on; their generator knows where its fields are. It
// is never read through, so the collector need not know of it.
type walk struct {
	at        uintptr // the next line
	left, run int     // lines left in this row, and in each
	jump      int     // bytes from behind a row to the next
}

// stretch is memory that is packed next, for tiles to bring into L2 while they
// multiply.
type stretch struct {
	walk
	lines int // how many are left
}

// lineBytes is the size of a cache line.
const lineBytes = 64

// stretchOf returns the memory of k elements of the first lines of a view.
func stretchOf(v view, lines, k, size int) stretch {
	rows, bytes, pitch := lines, k*size, int(v.line)
	if v.step != uintptr(size) {
		rows, bytes, pitch = k, lines*size, int(v.step)
	}
	if rows <= 0 || bytes <= 0 {
		return stretch{}
	}
	run := ceil(int(uintptr(v.base)%lineBytes)+bytes, lineBytes)
	return stretch{walk{uintptr(v.base), run, run, pitch - run*lineBytes}, rows * run}
}

// packedStretch returns the memory of n packed words.
func packedStretch(packed []uint32, n int) stretch {
	lines := ceil(n, lineWords)
	return stretch{walk{uintptr(unsafe.Pointer(&packed[0])), lines, lines, 0}, lines}
}

// fetcher is what is fetched first, what after that, what last, and where to walk when all
// is done.
type fetcher struct {
	first, sums, then stretch
	idle              walk
}

// walk returns the walk for a tile that fetches n lines. Where nothing is left to be
// fetched, it is along what the tile reads anyway.
func (f *fetcher) walk(b *uint32, n int) *uintptr {
	s := &f.first
	if s.lines <= 0 {
		s = &f.sums
	}
	if s.lines <= 0 {
		s = &f.then
	}
	if s.lines <= 0 {
		f.idle = walk{at: uintptr(unsafe.Pointer(b)), left: n + 1}
		return &f.idle.at
	}
	s.lines -= n
	return &s.at
}
