package gemm

import "unsafe"

// view is a part of an operand as packing sees it: lines (rows of A, columns of
// B) of elements along K.
type view struct {
	base unsafe.Pointer
	line uintptr // bytes from one line to the next
	step uintptr // bytes from one element of K to the next
}

// at returns the address of element k of a line.
func (v view) at(line, k int) unsafe.Pointer {
	return unsafe.Add(v.base, line*int(v.line)+k*int(v.step))
}

// part returns the view from a line and an element on.
func (v view) part(line, k int) view {
	v.base = v.at(line, k)
	return v
}

// rowView views a matrix whose rows are the lines; K runs along them.
func (m *Matrix) rowView() view {
	size := uintptr(m.typ.Size())
	v := view{base: m.base, line: uintptr(m.stride) * size, step: size}
	if m.trans {
		v.line, v.step = v.step, v.line
	}
	return v
}

// columnView views a matrix whose columns are the lines.
func (m *Matrix) columnView() view {
	t := m.T()
	return t.rowView()
}

// zeros stands in for the lines that a panel lacks. No pack reads more of a line
// at once.
var zeros [4 * maxWhole]byte

// lineSet holds the addresses of eight lines. It lives in the worker, since an
// argument of an indirect call would be allocated anew.
type lineSet [8]*byte

// pack writes lines of k elements as units, width units side by side; the lines
// from lines to width are zero or, where they are never used, anything.
func (p *packer) pack(dst []uint32, width int, v view, lines, k int, set *lineSet) {
	units := ceil(k, p.depth)
	switch {
	case p.rows != nil && v.step == uintptr(p.size):
		groups := k / p.depth / 8
		if groups > 0 {
			p.packRows(dst, width, v, lines, groups, set)
		}
		p.fill(dst, width, v, lines, k, 0, 8*groups)
	case p.cols != nil && v.line == uintptr(p.size):
		whole, blocks := k/p.depth, lines/8
		if whole > 0 && blocks > 0 {
			p.cols(&dst[0], 4*width, 32, ceil(blocks, 2), 0, (*byte)(v.base), int(v.step), whole, blocks)
			p.fill(dst[:whole*width], width, v, lines, whole*p.depth, 8*blocks, 0)
			p.fill(dst, width, v, lines, k, 0, whole)
			return
		}
		fallthrough
	default:
		p.fill(dst[:units*width], width, v, lines, k, 0, 0)
	}
}

// stripWords returns the distance of packed strips of lines, so many side by side. For
// the usual parts of K it is no multiple of a page, so that strips that are written in
// turn do not drive each other out of L1.
func stripWords(width, units int) int { return width*units + lineWords }

// packStrips packs lines as strips stride words apart, width lines side by side in
// each. Where elements run across, it reads them row by row: a strip alone would read
// a little of each row, and rows are often pages apart and compete for the same lines
// of L1.
func (p *packer) packStrips(dst []uint32, width, stride int, v view, lines, k int, set *lineSet) {
	done := 0
	if p.cols != nil && v.line == uintptr(p.size) && k%p.depth == 0 && k > 0 {
		done = p.packAcross(dst, width, stride, v, lines, k)
	}
	for l := done; l < lines; l += width {
		p.pack(dst[l/width*stride:], width, v.part(l, 0), min(width, lines-l), k, set)
	}
}

// across is how many lines of words are packed from one row of K at a time, or as many
// bytes of narrower elements.
const across = 128

// packAcross packs the whole strips of lines whose elements run across, and returns
// how many lines they have.
func (p *packer) packAcross(dst []uint32, width, stride int, v view, lines, k int) int {
	apart, per, next := 4*stride, 1, 8*stride
	if width > panel {
		apart, per, next = 32, width/16, 4*stride
	}
	if width%16 != 0 && width != panel {
		return 0
	}
	whole := lines / width * width
	step := max(across*4/p.size/width, 1) * width
	for l := 0; l < whole; l += step {
		p.cols(&dst[l/width*stride], 4*width, apart, per, next, (*byte)(v.at(l, 0)), int(v.step), k/p.depth, min(step, whole-l)/8)
	}
	return whole
}

// packRows packs whole groups of eight units, eight lines at a time.
func (p *packer) packRows(dst []uint32, width int, v view, lines, groups int, set *lineSet) {
	for l := 0; l < width; l += 8 {
		for i := range set {
			set[i] = &zeros[0]
			if l+i < lines {
				set[i] = (*byte)(v.at(l+i, 0))
			}
		}
		p.rows(&dst[l], 4*width, (*[8]*byte)(set), groups)
	}
}

// fill packs unit by unit, from line0 and unit0 on.
func (p *packer) fill(dst []uint32, width int, v view, lines, k, line0, unit0 int) {
	if line0 >= width {
		return
	}
	for u := unit0; u*p.depth < k; u++ {
		n := min(p.depth, k-u*p.depth)
		row := dst[u*width : (u+1)*width]
		for l := line0; l < width; l++ {
			row[l] = 0
			if l < lines {
				row[l] = p.unit(v.at(l, u*p.depth), v.step, n)
			}
		}
	}
}
