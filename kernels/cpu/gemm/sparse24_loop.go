package gemm

import "unsafe"

// Block sizes of the sparse product: tokens whose sums are transposed at a time,
// and rows of sums (outputs) kept in L2.
const (
	turned     = 8
	maxOutputs = 1024
)

// sparseJob is a product of sparse rows with a dense matrix. Tokens lie along
// the vectors: the dense matrix is packed in panels of them, the sums come out
// transposed and are turned when they are finished.
type sparseJob struct {
	job
	lists  *lists
	values *float32 // in the order of the lists
}

// multiplySparse computes out (n, lists.rows) from in (n, lists.cols).
func (c *Context) multiplySparse(l *lists, p *Pattern24, values, in, out Matrix, n int, e Epilogue) {
	switch {
	case in.typ > F16 || values.typ != in.typ:
		panic("gemm: 2:4 operands are not of one float type")
	case out.typ > F16 || out.trans:
		panic("gemm: 2:4 result is not of a float type, or transposed")
	case values.trans || !values.fits(p.oc, p.c/2) || values.stride != p.c/2 && p.oc > 1:
		panic("gemm: 2:4 values are transposed, too short or not contiguous")
	case n < 0 || !in.fits(n, l.cols) || !out.fits(n, l.rows):
		panic("gemm: a 2:4 operand is too short or its stride too small")
	case n == 0:
		return
	}
	eng := c.engines[in.typ]
	if l == &p.rows && p.selects(eng, in) {
		c.multiplySelected(p, values, in, out, n, e)
		return
	}
	s := &c.sparse
	s.job = job{
		Product: Product{M: n, N: l.rows, K: l.cols, C: out, Epilogue: e}, eng: eng,
		grid: newGrid(n, l.rows, eng.panelWidth(), bandRows, c.team.Size()), a: in.rowView(),
	}
	s.lists, s.values = l, c.gather(l, values)
	c.run(s)
	*s = sparseJob{}
}

func (s *sparseJob) part(w *worker, id, _ int) {
	r := s.grid.rect(id)
	if r.empty() {
		return
	}
	width, outputs := s.eng.panelWidth(), min(maxOutputs, r.col1-r.col0)
	w.a.grow((chunkRows + 1) * width)
	w.sums.grow((outputs + 1) * width)
	w.b.grow(turned * turnedStride(outputs))
	for t := r.row0; t < r.row1; t += width {
		power := len(s.eng.sparse) - 1
		for power > 0 && sparseWidth<<(power-1) >= r.row1-t {
			power--
		}
		for o := r.col0; o < r.col1; o += outputs {
			b := rect{t, min(t+width, r.row1), o, min(o+outputs, r.col1)}
			s.block(w, r, b, power)
			s.turn(w, b, sparseWidth<<power)
		}
	}
	w.next = fetcher{}
}

// sparseWidth is the width of the narrowest panel.
const sparseWidth = 16

// panelWidth returns the width of the widest panel.
func (e *engine) panelWidth() int { return sparseWidth << (len(e.sparse) - 1) }

// block computes the sums of one panel of tokens and a block of a rectangle's outputs:
// each chunk of the panel is packed into L1 and all rows pass over it.
func (s *sparseJob) block(w *worker, r, b rect, power int) {
	width := sparseWidth << power
	clear(w.a.data[chunkRows*width : (chunkRows+1)*width])
	for q, col := 0, 0; col < s.K; q, col = q+1, col+chunkRows {
		k := min(chunkRows, s.K-col)
		s.eng.wide.pack(w.a.data, width, s.a.part(b.row0, col), b.row1-b.row0, k, &w.lines)
		for row := b.col0; row < b.col1; row += bandRows {
			pairs, places, first := s.lists.band(q, row/bandRows)
			if row+bandRows >= b.col1 && w.next.first.lines <= 0 { // earlier it would be driven out again
				w.next.first = s.following(r, b, col+k)
			}
			s.eng.sparse[power](len(pairs), &pairs[0].first, places, after(s.values, first),
				w.a.float(), after(w.sums.float(), (row-b.col0)*width), min(q, 1), w.next.walk(&w.a.data[0], walkLines*len(pairs)))
		}
	}
}

// following returns what of the dense matrix is packed next, after a panel's chunks
// before a column: its next chunk, or the first one of the next block of outputs, or of
// the next panel.
func (s *sparseJob) following(r, b rect, col int) stretch {
	if col == s.K {
		col = 0
		if b.col1 == r.col1 {
			b.row0, b.row1 = b.row1, min(2*b.row1-b.row0, r.row1)
		}
	}
	if b.empty() {
		return stretch{}
	}
	return stretchOf(s.a.part(b.row0, col), b.row1-b.row0, min(chunkRows, s.K-col), s.eng.wide.size)
}

// turnedStride returns the stride of transposed sums. It is no multiple of a page,
// so that the lines written side by side do not drive each other out of L1.
func turnedStride(outputs int) int { return roundUp(outputs, 8) + lineWords }

// turn transposes the sums, where it can into C itself, and finishes them row by row.
func (s *sparseJob) turn(w *worker, b rect, width int) {
	outputs := b.col1 - b.col0
	for t := b.row0; t < b.row1; t += turned {
		n := min(turned, b.row1-t)
		sums, dst, stride := &w.sums.data[t-b.row0], &w.b.data[0], turnedStride(outputs)
		if n == turned && outputs%8 == 0 && s.eng.turn != nil {
			if s.C.typ == F32 {
				dst, stride = (*uint32)(s.C.at(t, b.col0)), s.C.stride
			}
			s.eng.turn(dst, 4*stride, sums, 4*width, outputs/8)
		} else {
			v := view{base: unsafe.Pointer(sums), line: uintptr(4 * width), step: 4}
			s.eng.words.pack(w.b.data, stride, v, outputs, n, &w.lines)
		}
		for i := range n {
			s.storeFloat(t+i, b.col0, unsafe.Slice((*float32)(unsafe.Pointer(after(dst, i*stride))), outputs))
		}
	}
}

// sparseGo returns the portable sparseFunc of a width.
func sparseGo(width int) sparseFunc {
	return func(pairs int, pair *uint16, places *uint8, values, panel, sums *float32, add int, _ *uintptr) {
		for _, p := range unsafe.Slice((*rowPair)(unsafe.Pointer(pair)), pairs) {
			a := unsafe.Slice(after(sums, int(p.first)*width), width)
			b := unsafe.Slice(after(sums, int(p.second)*width), width)
			if add == 0 {
				clear(a)
				clear(b)
			}
			shared := func() {
				x := panelRow(panel, places, 0, width)
				multiplyBoth(a, b, x, x, values)
				places, values = after(places, 1), after(values, 2)
			}
			apart := func() {
				multiplyBoth(a, b, panelRow(panel, places, 0, width), panelRow(panel, places, 1, width), values)
				places, values = after(places, 2), after(values, 2)
			}
			for range mixedSteps * int(p.mixed) {
				shared()
				apart()
			}
			for range p.shared {
				shared()
			}
			for range p.apart {
				apart()
			}
		}
	}
}

// panelRow returns the row of a panel that the i-th place names.
func panelRow(panel *float32, places *uint8, i, width int) []float32 {
	return unsafe.Slice(after(panel, width*int(*after(places, i))), width)
}

// multiplyBoth adds a value times x to a, and the next value times y to b.
func multiplyBoth(a, b, x, y []float32, values *float32) {
	v, w := *values, *after(values, 1)
	for j := range a {
		a[j] += v * x[j]
		b[j] += w * y[j]
	}
}

// after returns the address of the element n places on.
func after[T any](p *T, n int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), n*int(unsafe.Sizeof(*p))))
}
