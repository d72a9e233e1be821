package gemm

import "unsafe"

// blockJob is a product of a dense matrix with kept blocks, laid side by side as
// if they were dense; the tile picks the parts of the dense panel that they meet
// as segments.
type blockJob struct {
	job
	lists  *blockLists
	block  int
	values Matrix // as the blocks stand: K along rows, outputs along columns

	// Tiles read the dense matrix where it lies: with few blocks, packing it would take
	// a large share of the time.
	inPlace bool
	turned  bool // rows of the dense matrix lie along the lanes
}

// multiplyBlocks computes out (n, outs) from in (n, ins).
func (c *Context) multiplyBlocks(p *PatternBlock, l *blockLists, values, in, out Matrix, n, ins, outs int, e Epilogue) {
	p.checkValues(values)
	switch {
	case in.typ > F16 || values.typ != in.typ:
		panic("gemm: block operands are not of one float type")
	case out.typ > F16 || out.trans:
		panic("gemm: block result is not of a float type, or transposed")
	case n < 0 || !in.fits(n, ins) || !out.fits(n, outs):
		panic("gemm: a block operand is too short or its stride too small")
	case n == 0:
		return
	}
	b := &c.block
	b.job = job{
		Product: Product{M: n, N: outs, K: ins, C: out, Epilogue: e}, eng: c.engines[in.typ],
		a: in.rowView(), direct: out.typ == F32, kc: ins, nc: outs,
	}
	b.lists, b.block, b.values = l, p.block, values
	b.turned = b.turns()
	b.inPlace = b.eng.inPlace != nil && !in.trans
	rows := panel
	if b.turned {
		rows = b.eng.lanes
	}
	b.grid = newGrid(n, outs, rows, p.block, c.team.Size())
	c.run(b)
	*b = blockJob{}
}

// part computes one worker's rectangle, as many blocks of outputs at a time as
// fit L2 when packed.
func (b *blockJob) part(w *worker, id, _ int) {
	r := b.grid.rect(id)
	if r.empty() {
		return
	}
	for o := r.col0 / b.block; o*b.block < r.col1; {
		end := b.group(o, r.col1/b.block)
		g := rect{r.row0, r.row1, o * b.block, end * b.block}
		if b.turned {
			b.listTurned(w, o, end)
			b.turnedPanels(w, g)
		} else {
			b.packGroup(w, o, end)
			b.rows(w, g)
		}
		o = end
	}
}

// units returns the units of K in a block.
func (b *blockJob) units() int { return b.block / b.eng.depth() }

// group returns the end of the group of outputs that begins with block o.
func (b *blockJob) group(o, limit int) int {
	end := o + 1
	for end < limit && (b.turned && b.blocksInPlace() || (b.lists.starts[end+1]-b.lists.starts[o])*b.units()*b.block <= maxWords) {
		end++
	}
	return end
}

// tileWidth returns the columns of the tiles that a block is cut into.
func (e *engine) tileWidth(block int) int { return evenly(block, e.width(), e.lanes) }

// packGroup packs the kept blocks of outputs o to end: for each tile's width of
// an output, its blocks one below the other; and the segments they meet.
func (b *blockJob) packGroup(w *worker, o, end int) {
	first, units, width := b.lists.starts[o], b.units(), b.eng.tileWidth(b.block)
	kept := b.lists.starts[end] - first
	w.b.grow(kept*units*roundUp(b.block, width) + 1) // an output may have no blocks, even the last
	w.segs.grow(kept + 1)
	at := 0
	for ; o < end; o++ {
		lo, hi := b.lists.starts[o], b.lists.starts[o+1]
		for i := lo; i < hi; i++ {
			w.segs.data[i-first] = uint32(b.segment(b.lists.other[i]))
		}
		for c := 0; c < b.block; c += width {
			cols := min(width, b.block-c)
			for i := lo; i < hi; i++ {
				b.eng.b.pack(w.b.data[at:], roundUp(cols, b.eng.lanes), b.blockView(b.lists.index[i]).part(c, 0), cols, b.block, &w.lines)
				at += roundUp(cols, b.eng.lanes) * units
			}
		}
	}
}

// segment returns where a block of K begins in a panel, in bytes.
func (b *blockJob) segment(i int) int {
	if b.inPlace {
		return 4 * i * b.units()
	}
	return 4 * i * b.units() * panel
}

// blockView views a block with its outputs as lines.
func (b *blockJob) blockView(index int) view {
	v := b.values
	v.base = unsafe.Add(v.base, index*b.block*b.block*v.typ.Size())
	return v.columnView()
}

// rows passes all rows of the dense matrix over the packed blocks.
func (b *blockJob) rows(w *worker, g rect) {
	w.a.grow(panel * ceil(b.K, b.eng.depth()))
	if !b.direct {
		w.sums.grow(panel * b.nc)
	}
	for row := g.row0; row < g.row1; row += panel {
		n := min(panel, g.row1-row)
		a := b.panel(w, row, n)
		c, ldc := w.target(&b.job, g, row, g.col0)
		if next := row + n; next < g.row1 {
			w.next.first = stretchOf(b.a.part(next, 0), min(panel, g.row1-next), b.K, b.eng.a.size)
		}
		b.sweep(w, g, n, a, c, ldc)
		w.finish(&b.job, g, rect{row, row + n, g.col0, g.col1})
	}
	w.next = fetcher{}
}

// panel returns a panel of rows. Tiles read whole panels, so the rows of a smaller one
// are copied.
func (b *blockJob) panel(w *worker, row, n int) rowPanel {
	switch {
	case !b.inPlace:
		b.packPanel(w, row, n)
		return rowPanel{at: &w.a.data[0]}
	case n == panel:
		return rowPanel{(*uint32)(b.a.at(row, 0)), int(b.a.line)}
	}
	bytes := b.K * b.eng.a.size
	for i := range n {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&w.a.data[i*bytes/4])), bytes), unsafe.Slice((*byte)(b.a.at(row+i, 0)), bytes))
	}
	return rowPanel{&w.a.data[0], bytes}
}

// packPanel packs the whole of K of a panel of rows, a stretch at a time.
func (b *blockJob) packPanel(w *worker, row, n int) {
	stretch := maxUnits * b.eng.depth()
	for k := 0; k < b.K; k += stretch {
		b.eng.a.pack(w.a.data[k/b.eng.depth()*panel:], panel, b.a.part(row, k), n, min(stretch, b.K-k), &w.lines)
	}
}

// sweep multiplies the packed panel with every packed output.
func (b *blockJob) sweep(w *worker, g rect, rows int, a rowPanel, c unsafe.Pointer, ldc int) {
	e, units, width := b.eng, b.units(), b.eng.tileWidth(b.block)
	first, at := b.lists.starts[g.col0/b.block], 0
	for o := g.col0 / b.block; o*b.block < g.col1; o++ {
		lo, hi := b.lists.starts[o], b.lists.starts[o+1]
		for col := 0; col < b.block; col += width {
			cols := min(width, b.block-col)
			e.strip(units, hi-lo, &w.segs.data[lo-first], a, &w.b.data[at], unsafe.Add(c, (o*b.block-g.col0+col)*e.out), ldc, rows, cols, 0, &w.next)
			at += roundUp(cols, e.lanes) * units * (hi - lo)
		}
	}
}
