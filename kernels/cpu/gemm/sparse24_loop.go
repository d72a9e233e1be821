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
		grid: newGrid(n, l.rows, eng.panelWidth(), 8, c.team.Size()), a: in.rowView(),
	}
	s.lists, s.values = l, c.gather(l, values)
	c.run(s)
	*s = sparseJob{}
}

// gather returns the values as float32 in the order of the lists. That costs one
// pass over the weight, and pays from a few hundred tokens on.
func (c *Context) gather(l *lists, values Matrix) *float32 {
	c.values.grow(len(l.index))
	c.gatherer = gatherJob{values, l.index, unsafe.Slice(c.values.float(), len(l.index))}
	c.run(&c.gatherer)
	c.gatherer = gatherJob{}
	return c.values.float()
}

// gatherJob collects values by index.
type gatherJob struct {
	from  Matrix
	index []uint32
	to    []float32
}

func (j *gatherJob) part(_ *worker, id, workers int) {
	lo, hi := bounds(len(j.to), workers, id)
	to, index := j.to[lo:hi], j.index[lo:hi]
	switch j.from.typ {
	case F32:
		gather(to, index, unsafe.Slice((*float32)(j.from.base), j.from.len), func(v float32) float32 { return v })
	case BF16:
		gather(to, index, unsafe.Slice((*uint16)(j.from.base), j.from.len), bf16ToF32)
	case F16:
		gather(to, index, unsafe.Slice((*uint16)(j.from.base), j.from.len), f16ToF32)
	}
}

func gather[T any](to []float32, index []uint32, from []T, widen func(T) float32) {
	index = index[:len(to)]
	for i := range to {
		to[i] = widen(from[index[i]])
	}
}

func (s *sparseJob) part(w *worker, id, _ int) {
	r := s.grid.rect(id)
	if r.empty() {
		return
	}
	width, outputs := s.eng.panelWidth(), min(maxOutputs, r.col1-r.col0)
	w.a.grow(chunkRows * width)
	w.sums.grow(outputs * width)
	w.b.grow(finishTokens * roundUp(outputs, 8))
	for t := r.row0; t < r.row1; t += width {
		power := len(s.eng.sparse) - 1
		for power > 0 && sparseWidth<<(power-1) >= r.row1-t {
			power--
		}
		for o := r.col0; o < r.col1; o += outputs {
			b := rect{t, min(t+width, r.row1), o, min(o+outputs, r.col1)}
			s.block(w, b, power)
			s.turn(w, b, sparseWidth<<power)
		}
	}
}

// sparseWidth is the width of the narrowest panel.
const sparseWidth = 16

// panelWidth returns the width of the widest panel.
func (e *engine) panelWidth() int { return sparseWidth << (len(e.sparse) - 1) }

// block computes the sums of one panel of tokens and a block of outputs: each
// chunk of the panel is packed into L1 and all rows pass over it.
func (s *sparseJob) block(w *worker, b rect, power int) {
	width := sparseWidth << power
	for q, col := 0, 0; col < s.K; q, col = q+1, col+chunkRows {
		k := min(chunkRows, s.K-col)
		s.eng.wide.pack(w.a.data, width, s.a.part(b.row0, col), b.row1-b.row0, k, &w.lines)
		starts := s.lists.starts[q*(s.lists.rows+1)+b.col0:]
		add := min(q, 1)
		s.eng.sparse[power](b.col1-b.col0, &starts[0], &s.lists.places[0], s.values,
			w.a.float(), w.sums.float(), add)
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
	return func(rows int, starts *uint32, places *uint16, values, panel, sums *float32, add int) {
		ends := unsafe.Slice(starts, rows+1)
		vals, at := unsafe.Slice(values, ends[rows]), unsafe.Slice(places, ends[rows])
		for r := range rows {
			acc := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(sums), 4*r*width)), width)
			if add == 0 {
				clear(acc)
			}
			for i := ends[r]; i < ends[r+1]; i++ {
				v, row := vals[i], unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(panel), 4*width*int(at[i]/placeUnit))), width)
				for j, x := range row {
					acc[j] += v * x
				}
			}
		}
	}
}
