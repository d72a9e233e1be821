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
var zeros [4 * maxUnits]byte

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
			p.cols(&dst[0], 4*width, 32, (*byte)(v.base), int(v.step), whole, blocks)
			p.fill(dst[:whole*width], width, v, lines, whole*p.depth, 8*blocks, 0)
			p.fill(dst, width, v, lines, k, 0, whole)
			return
		}
		fallthrough
	default:
		p.fill(dst[:units*width], width, v, lines, k, 0, 0)
	}
}

// columnBlocks is how many panels are packed from one row of K at a time, to use
// whole cache lines of it: 128 float32.
const columnBlocks = 16

// packPanels packs lines as panels of eight, one behind the other.
func (p *packer) packPanels(dst []uint32, v view, lines, k int, set *lineSet) {
	size := panel * ceil(k, p.depth)
	for l := 0; l < lines; {
		n := min(panel*columnBlocks, lines-l) / panel
		if p.cols == nil || v.line != uintptr(p.size) || n == 0 || k%p.depth != 0 {
			p.pack(dst[l/panel*size:], panel, v.part(l, 0), min(panel, lines-l), k, set)
			l += panel
			continue
		}
		p.cols(&dst[l/panel*size], 4*panel, 4*size, (*byte)(v.at(l, 0)), int(v.step), k/p.depth, n)
		l += n * panel
	}
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
