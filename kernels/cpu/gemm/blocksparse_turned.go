package gemm

import (
	"math"
	"unsafe"
)

// turnedRows is the most rows that a turnedFunc multiplies.
const turnedRows = 48

// turns reports whether rows of the dense matrix are to lie along the lanes: where they
// fill a vector and a block's outputs fill just one. Places of values are 32 bits.
func (b *blockJob) turns() bool {
	return len(b.eng.turned) > 0 && b.block == b.eng.lanes && b.M >= b.eng.lanes && 4*b.values.len < math.MaxUint32
}

// turnedPanels passes all rows of the dense matrix over the packed blocks.
func (b *blockJob) turnedPanels(w *worker, g rect) {
	e := b.eng
	words := roundUp(turnedRows*ceil(b.K, e.depth()), lineWords)
	w.a.grow(words + 2*turnedWords)
	w.turned = w.a.data[words : words+2*turnedWords]
	if !b.direct {
		w.sums.grow(turnedRows * b.nc)
	}
	for row, n := g.row0, 0; row < g.row1; row += n {
		vectors := tileVectors(ceil(g.row1-row, e.lanes))
		n = min(vectors*e.lanes, g.row1-row)
		b.turnPanel(w, row, n, vectors)
		if next := row + n; next < g.row1 {
			w.next.first = stretchOf(b.a.part(next, 0), min(turnedRows, g.row1-next), b.K, e.a.size)
		}
		c, ldc := w.target(&b.job, g, row, g.col0)
		b.turnedSweep(w, g, n, vectors, c, ldc)
		w.finish(&b.job, g, rect{row, row + n, g.col0, g.col1})
	}
	w.next = fetcher{}
}

// turnPanel packs the whole of K of n rows side by side: in whole lines, if it can.
func (b *blockJob) turnPanel(w *worker, row, n, vectors int) {
	e, width := b.eng, vectors*b.eng.lanes
	if v, bytes := b.a.part(row, 0), b.K*e.a.size; e.turnLines != nil && n == width && int(v.step) == e.a.size && bytes%lineBytes == 0 {
		for i := range vectors {
			e.turnLines(&w.a.data[i*e.lanes], 4*width, (*byte)(v.at(i*e.lanes, 0)), int(v.line), bytes/lineBytes)
		}
		return
	}
	stretch := maxUnits * e.depth()
	for k := 0; k < b.K; k += stretch {
		e.a.pack(w.a.data[k/e.depth()*width:], width, b.a.part(row, k), n, min(stretch, b.K-k), &w.lines)
	}
}

// turnedSweep multiplies the packed panel with every packed output. Rows of the result
// are often a page apart and compete for the same lines of L1, so the sums of an output
// are collected, and the tiles of the next one copy them, row by row.
func (b *blockJob) turnedSweep(w *worker, g rect, rows, vectors int, c unsafe.Pointer, ldc int) {
	units, first := b.units(), b.lists.starts[g.col0/b.block]
	tile, blocks := b.eng.turned[vectors-1], (*byte)(unsafe.Pointer(unsafe.SliceData(w.b.data)))
	if b.blocksInPlace() {
		blocks = (*byte)(b.values.base)
		if b.values.trans {
			tile = b.eng.turnedRows[vectors-1]
		}
	}
	sums, other := w.turned[:turnedWords], w.turned[turnedWords:]
	for o := g.col0 / b.block; o*b.block < g.col1; o++ {
		lo, hi := b.lists.starts[o], b.lists.starts[o+1]
		from, to, n := w.tile.take(2 * units * (hi - lo))
		tile(units, hi-lo, &w.segs.data[2*(lo-first)], blocks, &w.a.data[0], &sums[0], from, to, 4*ldc, n, w.next.walk(&w.a.data[0], 2*units*(hi-lo)))
		w.tile.finish()
		w.tile = tileCopy{sums, (*uint32)(c), ldc, rows}
		c = unsafe.Add(c, 4*b.block)
		sums, other = other, sums
	}
	w.tile.finish()
	w.tile = tileCopy{}
}

// blocksInPlace reports whether turned tiles read the values as they are.
func (b *blockJob) blocksInPlace() bool { return b.eng.turnedRows != nil }

// listTurned lists the kept blocks of outputs o to end, and packs them unless they serve
// as they are.
func (b *blockJob) listTurned(w *worker, o, end int) {
	units, lo, hi := b.units(), b.lists.starts[o], b.lists.starts[end]
	w.segs.grow(2 * (hi - lo + 1))
	if !b.blocksInPlace() {
		w.b.grow((hi-lo)*units*b.block + 1)
	}
	for i := lo; i < hi; i++ {
		seg := w.segs.data[2*(i-lo):]
		seg[0], seg[1] = uint32(b.lists.other[i]*units), uint32(4*b.lists.index[i]*b.block*b.block)
		if !b.blocksInPlace() {
			at := (i - lo) * units * b.block
			seg[1] = uint32(4 * at)
			b.eng.b.pack(w.b.data[at:], b.block, b.blockView(b.lists.index[i]), b.block, b.block, &w.lines)
		}
	}
	w.segs.data[2*(hi-lo)], w.segs.data[2*(hi-lo)+1] = 0, 0
}

// turnedWords is the size of an output's sums.
const turnedWords = turnedRows * lineWords

// tileCopy is rows of sums, each a line, that tiles copy to where they belong.
type tileCopy struct {
	from   []uint32
	to     *uint32
	stride int // words
	rows   int
}

// take returns up to n rows to copy.
func (t *tileCopy) take(n int) (from, to *uint32, rows int) {
	if rows = min(n, t.rows); rows == 0 {
		return nil, nil, 0
	}
	from, to = &t.from[0], t.to
	t.from, t.rows = t.from[rows*lineWords:], t.rows-rows
	if t.rows > 0 {
		t.to = after(t.to, rows*t.stride)
	}
	return from, to, rows
}

// finish copies the rows that are left.
func (t *tileCopy) finish() {
	for t.rows > 0 {
		from, to, _ := t.take(1)
		copy(unsafe.Slice(to, lineWords), unsafe.Slice(from, lineWords))
	}
}
