package gemm

import "unsafe"

// stretch is memory that is packed next, for tiles to bring into the cache while they
// multiply: from an address up to another. It is only ever fetched, so the collector
// need not know of it.
type stretch struct{ at, end uintptr }

// stretchOf returns the memory of the first rows of a view, of k elements each, if
// they follow each other without a gap.
func stretchOf(v view, rows, k, size int) stretch {
	if rows <= 0 || v.step != uintptr(size) || v.line != uintptr(k*size) {
		return stretch{}
	}
	return stretch{uintptr(v.base), uintptr(v.base) + uintptr(rows)*v.line}
}

// usualAhead is how far ahead in B tiles fetch where nothing is more urgent.
const usualAhead = 3072

// ahead returns the distance from b to the next n bytes of the stretch.
func (s *stretch) ahead(b *uint32, n int) int {
	if s.at >= s.end {
		return usualAhead
	}
	distance := int(s.at) - int(uintptr(unsafe.Pointer(b)))
	s.at += uintptr(n)
	return distance
}
