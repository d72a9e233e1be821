package gemm

import "unsafe"

// Block sizes. A panel of A takes panel*maxUnits*4 bytes, to stay in L1; a block
// of B at most maxUnits*maxColumns*4, to stay in L2 beside what is fetched for the
// next one. A is packed maxRows rows at a time. Sums over parts of K that are not
// kept in C itself cover at most maxRows by maxSpan.
const (
	maxUnits   = 512          // units of K
	maxWhole   = 2 * maxUnits // units where one part of K spares results a second pass
	maxColumns = 240          // of maxUnits
	maxRows    = 1024
	maxSpan    = 1008

	// maxWords is how much of an operand is packed to stay in L2 where nothing is
	// fetched for the next.
	maxWords = 168 << 10
)

// job is a product with all that is decided about it before the work starts.
type job struct {
	Product
	eng        *engine
	grid       grid
	a, b       view
	kc, nc, mc int   // block sizes, in elements
	span       int   // columns that a packed slab of A is used for
	direct     bool  // tiles store into C
	inPlace    bool  // tiles read A's rows where they lie
	mask       *mask // adds rows of the result to sparse values instead of storing them
}

func (j *job) plan(p Product, e *engine, m *mask, workers int) {
	*j = job{Product: p, eng: e, grid: newGrid(p.M, p.N, panel, columnUnit, workers)}
	j.a, j.b = p.A.rowView(), p.B.columnView()
	j.direct = e.masked != nil && m != nil || m == nil && (p.C.typ == I32 || p.C.typ == F32 && e.float)
	j.mask = m
	j.kc = evenly(p.K, maxUnits*e.depth(), 8*e.depth())
	if j.rounds() {
		j.eng, j.direct, j.kc = e.rounding, true, max(j.kc, roundUp(p.K, 8*e.depth()))
	}
	rows, cols := j.grid.largest()
	j.inPlace = m == nil && j.readsInPlace(cols)
	j.mc, j.span = evenly(rows, maxRows, panel), cols
	if !j.direct && j.kc < p.K {
		j.span = evenly(cols, maxSpan, e.width())
	}
	j.nc = evenly(j.span, j.columns(), e.width())
}

// columns returns how many columns of B a block may have: more where its part of K is
// short, since each block has all rows of A read again, but not where rows are finished
// after the tiles, which is done in L1.
func (j *job) columns() int {
	limit := maxColumns * maxUnits / max(ceil(j.kc, j.eng.depth()), maxUnits/4)
	if j.direct && j.Epilogue == nil && j.mask == nil {
		return limit
	}
	return min(limit, maxColumns)
}

// rounds reports whether tiles can round their sums themselves: they are the whole sums,
// and nothing else is added.
func (j *job) rounds() bool {
	return j.eng.rounding != nil && j.C.typ == BF16 && j.K <= maxWhole*j.eng.depth() && !j.Accumulate && j.Epilogue == nil && j.mask == nil
}

// readsInPlace reports whether tiles do well to read A's rows where they lie, which
// spares packing them. Rows that whole pages part compete for the same lines of L1; so
// they are packed where many columns share the cost.
func (j *job) readsInPlace(columns int) bool {
	const page, many = 4096, 1024
	return j.eng.inPlace != nil && j.a.step == uintptr(j.eng.a.size) && j.K > 0 && j.K%j.eng.depth() == 0 &&
		(j.a.line%page != 0 || columns <= many)
}

// evenly returns the size of the fewest parts of n that are at most limit long,
// as a multiple of unit.
func evenly(n, limit, unit int) int {
	parts := max(1, ceil(n, limit))
	return max(unit, roundUp(ceil(n, parts), unit))
}

// worker holds one thread's buffers.
type worker struct {
	a, b buffer // packed operands
	sums buffer // results that are not kept in C
	segs buffer // segments of block-sparse outputs
	zero uint32 // the one segment of a dense product

	lines lineSet
	next  fetcher

	turned []uint32     // sums of turned tiles
	tile   tileCopy     // and which of them tiles copy
	grad   blockGradJob // its own part of the tokens
	strips [6]uintptr   // what tiles of the block-sparse weight gradient multiply, and add to
}

func (w *worker) bytes() int64 {
	return w.a.bytes() + w.b.bytes() + w.sums.bytes() + w.segs.bytes()
}

// part computes one worker's rectangle.
func (j *job) part(w *worker, id, _ int) {
	if r := j.grid.rect(id); !r.empty() {
		w.multiply(j, r)
	}
}

// multiply computes a rectangle of C slab by slab.
func (w *worker) multiply(j *job, r rect) {
	units := ceil(j.kc, j.eng.depth())
	packed := ceil(j.mc, panel)
	if j.inPlace {
		packed = 1
	}
	w.a.grow(packed * stripWords(panel, units))
	w.b.grow(ceil(j.nc, j.eng.width()) * stripWords(j.eng.width(), units+j.eng.head()))
	switch {
	case j.direct:
	case j.kc < j.K:
		w.sums.grow(j.mc * j.span)
	default:
		w.sums.grow(panel * j.nc)
	}
	for c := r.col0; c < r.col1; c += j.span {
		for i := r.row0; i < r.row1; i += j.mc {
			w.slab(j, rect{i, min(i+j.mc, r.row1), c, min(c+j.span, r.col1)})
		}
	}
}

// slab computes some rows of C over the whole of K, a part of K at a time: A's
// rows are packed once, B block by block of columns.
func (w *worker) slab(j *job, s rect) {
	for k0 := 0; ; k0 += j.kc {
		k := min(j.kc, j.K-k0)
		for c := s.col0; c < s.col1; c += j.nc {
			w.block(j, s, rect{s.row0, s.row1, c, min(c+j.nc, s.col1)}, k0, k)
		}
		if k0+k == j.K {
			return
		}
	}
}

// block adds a part of K to one block of columns of a slab, and finishes the rows if
// it is the last. The first block packs A's rows, group by group. While tiles
// multiply, they fetch what is packed or read next: the next rows of A, those of the sums,
// and the next block of B, this as late as they can, since it takes room in L2.
func (w *worker) block(j *job, s, b rect, k0, k int) {
	units := ceil(k, j.eng.depth())
	w.packB(j, b, k0, k)
	next := j.nextB(s, b, k0, k)
	takes := 1 + 2*next.lines/max(1, units*ceil(b.col1-b.col0, j.eng.width()))
	for row := b.row0; row < b.row1; row += panel {
		rows := min(panel, b.row1-row)
		a := w.prepareA(j, s, b, row, k0, k)
		if next.lines > 0 && row+takes*panel >= b.row1 {
			w.next.then, next = next, stretch{}
		}
		if k0+k == j.K && !j.direct && j.mask == nil && w.next.then.lines <= 0 {
			w.next.then = j.result(row, rows, b)
		}
		if row+rows < b.row1 && j.mask == nil && (j.direct || k0 > 0) {
			w.next.sums = w.sumsOf(j, s, rect{row + rows, min(row+rows+panel, b.row1), b.col0, b.col1})
		}
		if j.mask != nil && j.eng.masked != nil {
			w.sweepMasked(j, a.at, rect{row, row + rows, b.col0, b.col1}, units)
			continue
		}
		c, ldc := w.target(j, s, row, b.col0)
		w.sweep(j.eng, a, b, rows, units, c, ldc, k0 > 0 || j.direct && j.Accumulate)
		if k0+k == j.K {
			w.finish(j, s, rect{row, row + rows, b.col0, b.col1})
		}
	}
	w.next = fetcher{}
}

// nextB returns what is packed after a block of B.
func (j *job) nextB(s, b rect, k0, k int) stretch {
	col := b.col1
	if col == s.col1 {
		col, k0 = s.col0, k0+k
	}
	if k0 == j.K {
		return stretch{}
	}
	return stretchOf(j.b.part(col, k0), min(j.nc, s.col1-col), min(j.kc, j.K-k0), j.eng.b.size)
}

// result returns the places of finished rows, which tiles fetch themselves where they
// store into them.
func (j *job) result(row, rows int, b rect) stretch {
	return stretchOf(view{j.C.at(row, b.col0), uintptr(j.C.stride * j.C.typ.Size()), uintptr(j.C.typ.Size())}, rows, b.col1-b.col0, j.C.typ.Size())
}

// prepareA returns a panel of A's rows, and has the next fetched. Rows that must be
// packed are so for the first block of columns, group by group.
func (w *worker) prepareA(j *job, s, b rect, row, k0, k int) rowPanel {
	units, size := ceil(k, j.eng.depth()), j.eng.a.size
	if j.inPlace {
		return w.panelInPlace(j, s, row, k0, k)
	}
	stride := stripWords(panel, units)
	packed := w.a.data[(row-s.row0)/panel*stride:]
	switch {
	case b.col0 > s.col0:
		if row+panel < s.row1 {
			w.next.first = packedStretch(packed[stride:], panel*units)
		}
	case (row-s.row0)%across == 0:
		end := min(row+across, s.row1)
		j.eng.a.packStrips(packed, panel, stride, j.a.part(row, k0), end-row, k, &w.lines)
		if end < s.row1 {
			w.next.first = stretchOf(j.a.part(end, k0), min(across, s.row1-end), k, size)
		}
	}
	return rowPanel{at: &packed[0]}
}

// panelInPlace returns a panel of rows where they lie. Tiles read whole panels, so a
// smaller one is packed.
func (w *worker) panelInPlace(j *job, s rect, row, k0, k int) rowPanel {
	e, next := j.eng, row+panel
	if next > s.row1 {
		e.a.pack(w.a.data, panel, j.a.part(row, k0), s.row1-row, k, &w.lines)
		return rowPanel{at: &w.a.data[0]}
	}
	w.next.first = stretch{}
	if next < s.row1 {
		w.next.first = stretchOf(j.a.part(next, k0), min(panel, s.row1-next), k, e.a.size)
	}
	return rowPanel{(*uint32)(j.a.at(row, k0)), int(j.a.line)}
}

func (w *worker) packB(j *job, b rect, k0, k int) {
	e := j.eng
	units, head, at := ceil(k, e.depth()), e.head(), 0
	for c := b.col0; c < b.col1; {
		width, lines := e.stripsOf(b.col1 - c)
		stride := stripWords(width, head+units)
		e.b.packStrips(w.b.data[at+head*width:], width, stride, j.b.part(c, k0), lines, k, &w.lines)
		for end := c + lines; c < end; c += width {
			if head > 0 {
				e.start[width/e.lanes-1](&w.b.data[at], units)
			}
			at += stride
		}
		c = min(c, b.col1)
	}
}

// target returns where the sums of a panel of a slab's rows go, from a column on,
// and their row stride. Where K is not divided, all panels share one.
func (w *worker) target(j *job, s rect, row, col int) (unsafe.Pointer, int) {
	switch {
	case j.direct:
		return j.C.at(row, col), j.C.stride
	case j.kc < j.K:
		return unsafe.Pointer(&w.sums.data[(row-s.row0)*j.span+col-s.col0]), j.span
	default:
		return unsafe.Pointer(&w.sums.data[0]), j.nc
	}
}

// sumsOf returns the places of the sums of one panel of a slab's rows.
func (w *worker) sumsOf(j *job, s, p rect) stretch {
	base, stride := w.target(j, s, p.row0, p.col0)
	size := j.eng.out
	return stretchOf(view{base, uintptr(stride * size), uintptr(size)}, p.row1-p.row0, p.col1-p.col0, size)
}

// sweep multiplies a packed panel of A with every panel of the block of B.
func (w *worker) sweep(e *engine, a rowPanel, b rect, rows, units int, c unsafe.Pointer, ldc int, add bool) {
	flag, at, segs, n := 0, 0, 1, b.col1-b.col0
	if add {
		flag = 1
	}
	if units == 0 {
		segs = 0
	}
	for col := 0; col < n; {
		cols := e.columns(n - col)
		vectors := ceil(cols, e.lanes)
		e.strip(units, segs, &w.zero, a, &w.b.data[at], unsafe.Add(c, col*e.out), ldc, rows, cols, flag, &w.next)
		at += stripWords(vectors*e.lanes, e.head()+units)
		col += cols
	}
}

// buffer is scratch memory aligned to cache lines.
type buffer struct {
	data []uint32
	size int
}

const lineWords = 16

// grow makes the buffer hold at least n words. What it held is lost.
func (b *buffer) grow(n int) {
	if n <= len(b.data) {
		return
	}
	raw := make([]uint32, n+lineWords)
	skip := -uintptr(unsafe.Pointer(&raw[0])) / 4 % lineWords
	b.data, b.size = raw[skip:][:n], len(raw)
}

// float returns the buffer's start as float32.
func (b *buffer) float() *float32 { return (*float32)(unsafe.Pointer(&b.data[0])) }

func (b *buffer) bytes() int64 { return 4 * int64(b.size) }
