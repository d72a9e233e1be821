package gemm

import "unsafe"

// region is the part of the values that a band of rows keeps in a chunk of columns, as
// many rows and columns of the stored values.
type region struct{ rows, cols int }

// regionWords is the size of a full region, of either direction.
const regionWords = bandRows * chunkRows / 2

// blankAt is the place behind a region of a zero, for entries that stand for no value.
const blankAt = regionWords

// gatherJob collects the values in the order of the lists. Those of a region lie apart
// by the stride of the matrix, often by pages, and each line of them serves many rows
// or columns: so a region is copied, and widened, to where all of it stays in L1.
type gatherJob struct {
	lists  *lists
	from   view // columns of regions as lines
	rows   int
	cols   int
	wide   packer
	gather func(to []float32, index []uint16, from []float32, walk *uintptr)
	to     []float32
}

// gather returns the values as float32 in the order of the lists. That costs one
// pass over the weight, and pays from a few hundred tokens on.
func (c *Context) gather(l *lists, values Matrix) *float32 {
	c.values.grow(len(l.index))
	rows, cols, from := l.rows, l.cols/2, values.columnView()
	if l.byColumn {
		rows, cols, from = l.rows/2, l.cols, values.rowView()
	}
	c.gatherer = gatherJob{
		lists: l, from: from, rows: rows, cols: cols,
		wide: c.engines[values.typ].wide, gather: c.engines[F32].gather,
		to: unsafe.Slice(c.values.float(), len(l.index)),
	}
	c.run(&c.gatherer)
	c.gatherer = gatherJob{}
	return c.values.float()
}

func (j *gatherJob) part(w *worker, id, workers int) {
	l := j.lists
	lo, hi := bounds(len(l.starts)-1, workers, id)
	w.a.grow(regionWords + 1)
	from := unsafe.Slice(w.a.float(), regionWords+1)
	from[blankAt] = 0
	for at := lo; at < hi; at++ {
		v, rows, cols := j.regionAt(at)
		j.wide.pack(w.a.data, l.region.cols, v, cols, rows, &w.lines)
		if at+1 < hi {
			next, rows, cols := j.regionAt(at + 1)
			w.next.first = stretchOf(next, cols, rows, j.wide.size)
		}
		first, end := l.starts[at].value, l.starts[at+1].value
		j.gather(j.to[first:end], l.index[first:end], from, w.next.walk(&w.a.data[0], (end-first)/8))
	}
	w.next = fetcher{}
}

// regionAt returns the values of a band in a chunk, counted as the lists' starts, with
// the columns of the values as lines.
func (j *gatherJob) regionAt(at int) (v view, rows, cols int) {
	l, bands := j.lists, ceil(j.lists.rows, bandRows)
	row, col := at%bands, at/bands
	row, col = row*l.region.rows, col*l.region.cols
	return j.from.part(col, row), min(l.region.rows, j.rows-row), min(l.region.cols, j.cols-col)
}

// gatherGo is the portable gather of an engine.
func gatherGo(to []float32, index []uint16, from []float32, _ *uintptr) {
	for i := range to {
		to[i] = from[index[i]]
	}
}
