package gemm

import (
	"sync"
	"unsafe"
)

// The size of the tile of a selectedFunc.
const (
	selectedRows    = 6
	selectedColumns = 48
)

// controls say which of a row's values each output channel keeps, as selectedFuncs
// want it: panel by panel of selectedColumns channels.
type controls struct {
	once  sync.Once
	words []uint32
}

// controlWords returns the controls, prepared at the first call.
func (p *Pattern24) controlWords() []uint32 {
	p.controls.once.Do(func() {
		groups := p.c / 4
		words := make([]uint32, roundUp(p.oc, selectedColumns)*groups)
		for row := range p.oc {
			panel := words[row/selectedColumns*selectedColumns*groups:]
			for g := range groups {
				first, second := p.group(row, g)
				panel[g*selectedColumns+row%selectedColumns] = control(g, first) | control(g, second)<<16
			}
		}
		p.controls.words = words
	})
	return p.controls.words
}

// control returns the places of the two bytes of a 16-bit value in a unit.
func control(group, place int) uint32 {
	at := uint32(group%2*8 + 2*place)
	return at | (at+1)<<8
}

// selectedJob is a product of rows with 2:4 weights whose engine selects what each
// output channel keeps.
type selectedJob struct {
	job
	x        Matrix
	weights  view
	controls []uint32
}

// selects reports whether a product can be done so: rows are read where they are.
func (p *Pattern24) selects(e *engine, x Matrix) bool {
	return e.selected != nil && !x.trans && p.c%8 == 0
}

// multiplySelected computes out (n, OC) from x (n, C).
func (c *Context) multiplySelected(p *Pattern24, values, x, out Matrix, n int, e Epilogue) {
	s := &c.selected
	s.job = job{
		Product: Product{M: n, N: p.oc, K: p.c, C: out, Epilogue: e}, eng: c.engines[x.typ],
		grid: newGrid(n, p.oc, selectedRows, selectedColumns, c.team.Size()), direct: out.typ == F32, kc: p.c,
	}
	panelWords := p.c / 2 * selectedColumns // weights and controls
	s.nc = selectedColumns * max(1, maxWords/panelWords)
	s.x, s.weights, s.controls = x, values.rowView(), p.controlWords()
	c.run(s)
	*s = selectedJob{}
}

// part computes one worker's rectangle, as many output channels at a time as fit L2.
func (s *selectedJob) part(w *worker, id, _ int) {
	r := s.grid.rect(id)
	if r.empty() {
		return
	}
	w.b.grow(s.nc * s.K / 4)
	w.sums.grow(selectedRows * s.nc)
	for o := r.col0; o < r.col1; o += s.nc {
		end := min(o+s.nc, r.col1)
		for col := o; col < end; col += selectedColumns {
			s.eng.b.pack(w.b.data[(col-o)*s.K/4:], selectedColumns, s.weights.part(col, 0), min(selectedColumns, end-col), s.K/2, &w.lines)
		}
		for t := r.row0; t < r.row1; t += selectedRows {
			s.rows(w, rect{t, min(t+selectedRows, r.row1), o, end})
		}
	}
}

// rows multiplies up to selectedRows rows with the packed output channels.
func (s *selectedJob) rows(w *worker, b rect) {
	c, ldc := w.target(&s.job, b, b.row0, b.col0)
	for col := b.col0; col < b.col1; col += selectedColumns {
		s.eng.selected(s.K/8, (*uint16)(s.x.at(b.row0, 0)), s.x.stride, &w.b.data[(col-b.col0)*s.K/4], &s.controls[col*s.K/4],
			(*float32)(unsafe.Add(c, 4*(col-b.col0))), ldc, b.row1-b.row0, min(selectedColumns, b.col1-col))
	}
	w.finish(&s.job, b, b)
}
