package gemm

import "unsafe"

// Block sizes of the sparse product: tokens transposed at a time when sums are
// finished, and rows of sums (outputs) kept in L2.
const (
	finishTokens = 32
	maxOutputs   = 1024
)

// sparseJob is a product of sparse rows with a dense matrix. Tokens lie along
// the vectors: the dense matrix is packed in panels of them, the sums come out
// transposed and are turned when they are finished.
type sparseJob struct {
	job
	lists  *lists
	values *float32
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
	s := &c.sparse
	s.job = job{
		Product: Product{M: n, N: l.rows, K: l.cols, C: out, Epilogue: e}, eng: eng,
		grid: newGrid(n, l.rows, 8*eng.lanes, 8, c.team.Size()), a: in.rowView(),
	}
	s.lists, s.values = l, c.widen(values, p.oc*p.c/2)
	c.run(s)
	*s = sparseJob{}
}

// widen returns contiguous values as float32, converting 16-bit ones.
func (c *Context) widen(values Matrix, n int) *float32 {
	if values.typ == F32 {
		return (*float32)(values.base)
	}
	c.values.grow(n)
	c.widener = widenJob{values, unsafe.Slice((*float32)(unsafe.Pointer(&c.values.data[0])), n), &c.engines[values.typ].row}
	c.run(&c.widener)
	c.widener = widenJob{}
	return (*float32)(unsafe.Pointer(&c.values.data[0]))
}

// widenJob converts 16-bit values to float32.
type widenJob struct {
	from Matrix
	to   []float32
	ops  *rowOps
}

func (j *widenJob) part(_ *worker, id, workers int) {
	lo, hi := bounds(len(j.to), workers, id)
	to, from := j.to[lo:hi], unsafe.Slice((*uint16)(j.from.at(0, lo)), hi-lo)
	clear(to)
	if j.from.typ == BF16 {
		j.ops.addBF16(to, from)
	} else {
		j.ops.addF16(to, from)
	}
}

func (s *sparseJob) part(w *worker, id, _ int) {
	r := s.grid.rect(id)
	if r.empty() {
		return
	}
	width, outputs := 8*s.eng.lanes, min(maxOutputs, r.col1-r.col0)
	w.a.grow(chunkRows * width)
	w.sums.grow(outputs * width)
	w.b.grow(finishTokens * roundUp(outputs, 8))
	for t := r.row0; t < r.row1; {
		vectors, power := 8, 3
		for vectors > 1 && vectors*s.eng.lanes/2 >= r.row1-t {
			vectors, power = vectors/2, power-1
		}
		tokens := min(vectors*s.eng.lanes, r.row1-t)
		for o := r.col0; o < r.col1; o += outputs {
			b := rect{t, t + tokens, o, min(o+outputs, r.col1)}
			s.block(w, b, power)
			s.turn(w, b, vectors*s.eng.lanes)
		}
		t += tokens
	}
}

// block computes the sums of one panel of tokens and a block of outputs: each
// chunk of the panel is packed into L1 and all rows pass over it.
func (s *sparseJob) block(w *worker, b rect, power int) {
	width := s.eng.lanes << power
	for q, col := 0, 0; col < s.K; q, col = q+1, col+chunkRows {
		k := min(chunkRows, s.K-col)
		s.eng.wide.pack(w.a.data, width, s.a.part(b.row0, col), b.row1-b.row0, k, &w.lines)
		starts := s.lists.starts[q*(s.lists.rows+1)+b.col0:]
		add := min(q, 1)
		s.eng.sparse[power](b.col1-b.col0, &starts[0], &s.lists.local[0], &s.lists.index[0],
			s.values, w.a.float(), w.sums.float(), add)
	}
}

// turn transposes the sums and finishes them row by row.
func (s *sparseJob) turn(w *worker, b rect, width int) {
	outputs := b.col1 - b.col0
	stride := roundUp(outputs, 8)
	sums := view{base: unsafe.Pointer(&w.sums.data[0]), line: uintptr(4 * width), step: 4}
	for t := b.row0; t < b.row1; t += finishTokens {
		n := min(finishTokens, b.row1-t)
		s.eng.words.pack(w.b.data, stride, sums.part(0, t-b.row0), outputs, n, &w.lines)
		for i := range n {
			s.storeFloat(t+i, b.col0, unsafe.Slice((*float32)(unsafe.Pointer(&w.b.data[i*stride])), outputs))
		}
	}
}

// sparseGo returns the portable sparseFunc of a width.
func sparseGo(width int) sparseFunc {
	return func(rows int, starts *uint32, local *uint16, index *uint32, values, panel, sums *float32, add int) {
		ends := unsafe.Slice(starts, rows+1)
		for r := range rows {
			acc := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(sums), 4*r*width)), width)
			if add == 0 {
				clear(acc)
			}
			for i := ends[r]; i < ends[r+1]; i++ {
				at := int(*(*uint16)(unsafe.Add(unsafe.Pointer(local), 2*i)))
				v := *(*float32)(unsafe.Add(unsafe.Pointer(values), 4*uintptr(*(*uint32)(unsafe.Add(unsafe.Pointer(index), 4*i)))))
				row := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(panel), 4*at*width)), width)
				for j, x := range row {
					acc[j] += v * x
				}
			}
		}
	}
}
