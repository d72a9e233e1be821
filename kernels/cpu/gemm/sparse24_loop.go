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
	lo, hi := bounds(len(j.to)/listGroup, workers, id)
	to, index := j.to[lo*listGroup:hi*listGroup], j.index[lo*listGroup:hi*listGroup]
	if j.from.typ == F32 {
		gather(to, index, j.from.float32s(0, 0, j.from.len))
	} else {
		gatherWide(to, index, unsafe.Slice((*uint16)(j.from.base), j.from.len), j.from.typ)
	}
}

// gather copies whole groups where they are neighbours, as in the lists of rows.
func gather(to []float32, index []uint32, from []float32) {
	for len(to) >= listGroup && len(index) >= listGroup {
		if first := index[0]; index[listGroup-1] == first+listGroup-1 {
			*(*[listGroup]float32)(to) = *(*[listGroup]float32)(from[first:])
		} else {
			for i, at := range index[:listGroup] {
				to[i] = 0
				if at != padding {
					to[i] = from[at]
				}
			}
		}
		to, index = to[listGroup:], index[listGroup:]
	}
}

func gatherWide(to []float32, index []uint32, from []uint16, typ Type) {
	for i, at := range index {
		switch {
		case at == padding:
			to[i] = 0
		case typ == BF16:
			to[i] = bf16ToF32(from[at])
		default:
			to[i] = f16ToF32(from[at])
		}
	}
}

func (s *sparseJob) part(w *worker, id, _ int) {
	r := s.grid.rect(id)
	if r.empty() {
		return
	}
	width, outputs := s.eng.panelWidth(), min(maxOutputs, r.col1-r.col0)
	w.a.grow((chunkRows + 1) * width)
	w.sums.grow(outputs * width)
	w.b.grow(finishTokens * turnedStride(outputs))
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
	clear(w.a.data[chunkRows*width : (chunkRows+1)*width])
	for q, col := 0, 0; col < s.K; q, col = q+1, col+chunkRows {
		k := min(chunkRows, s.K-col)
		s.eng.wide.pack(w.a.data, width, s.a.part(b.row0, col), b.row1-b.row0, k, &w.lines)
		starts := s.lists.starts[q*(s.lists.rows+1)+b.col0:]
		s.eng.sparse[power](b.col1-b.col0, &starts[0], &s.lists.places[0], s.values,
			w.a.float(), w.sums.float(), min(q, 1))
	}
}

// turnedStride returns the stride of transposed sums. It is no multiple of a page,
// so that the lines written side by side do not drive each other out of L1.
func turnedStride(outputs int) int { return roundUp(outputs, 8) + lineWords }

// turn transposes the sums and finishes them row by row.
func (s *sparseJob) turn(w *worker, b rect, width int) {
	outputs := b.col1 - b.col0
	stride := turnedStride(outputs)
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
		at, vals := unsafe.Slice(places, ends[rows]), unsafe.Slice(values, ends[rows])
		for r := range rows {
			acc := unsafe.Slice(after(sums, r*width), width)
			if add == 0 {
				clear(acc)
			}
			for i := ends[r]; i < ends[r+1]; i++ {
				row := unsafe.Slice(after(panel, width*int(at[i]/placeUnit)), width)
				for j, x := range row {
					acc[j] += vals[i] * x
				}
			}
		}
	}
}

// after returns the address of the element n places on.
func after(p *float32, n int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), 4*n)) }
