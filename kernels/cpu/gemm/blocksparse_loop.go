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
		grid: newGrid(n, outs, panel, p.block, c.team.Size()), a: in.rowView(),
		direct: out.typ == F32, kc: ins, nc: outs,
	}
	b.lists, b.block, b.values = l, p.block, values
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
	w.a.grow(panel * ceil(b.K, b.eng.depth()))
	for o := r.col0 / b.block; o*b.block < r.col1; {
		end := b.group(o, r.col1/b.block)
		g := rect{r.row0, r.row1, o * b.block, end * b.block}
		b.packGroup(w, o, end)
		b.rows(w, g)
		o = end
	}
}

// units returns the units of K in a block.
func (b *blockJob) units() int { return b.block / b.eng.depth() }

// group returns the end of the group of outputs that begins with block o.
func (b *blockJob) group(o, limit int) int {
	end := o + 1
	for end < limit && (b.lists.starts[end+1]-b.lists.starts[o])*b.units()*b.block <= maxUnits*maxColumns {
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
			w.segs.data[i-first] = uint32(b.lists.other[i] * units * panel * 4)
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

// blockView views a block with its outputs as lines.
func (b *blockJob) blockView(index int) view {
	v := b.values
	v.base = unsafe.Add(v.base, index*b.block*b.block*v.typ.Size())
	return v.columnView()
}

// rows passes all rows of the dense matrix over the packed blocks.
func (b *blockJob) rows(w *worker, g rect) {
	if !b.direct {
		w.sums.grow(panel * b.nc)
	}
	for row := g.row0; row < g.row1; row += panel {
		n := min(panel, g.row1-row)
		b.packPanel(w, row, n)
		c, ldc := w.target(&b.job, g, row, g.col0)
		b.sweep(w, g, n, c, ldc)
		w.finish(&b.job, g, rect{row, row + n, g.col0, g.col1})
	}
}

// packPanel packs the whole of K of a panel of rows, a stretch at a time.
func (b *blockJob) packPanel(w *worker, row, n int) {
	stretch := maxUnits * b.eng.depth()
	for k := 0; k < b.K; k += stretch {
		b.eng.a.pack(w.a.data[k/b.eng.depth()*panel:], panel, b.a.part(row, k), n, min(stretch, b.K-k), &w.lines)
	}
}

// sweep multiplies the packed panel with every packed output.
func (b *blockJob) sweep(w *worker, g rect, rows int, c unsafe.Pointer, ldc int) {
	e, units, width := b.eng, b.units(), b.eng.tileWidth(b.block)
	first, at := b.lists.starts[g.col0/b.block], 0
	for o := g.col0 / b.block; o*b.block < g.col1; o++ {
		lo, hi := b.lists.starts[o], b.lists.starts[o+1]
		for col := 0; col < b.block; col += width {
			cols := min(width, b.block-col)
			vectors := ceil(cols, e.lanes)
			for r := 0; r < rows; r += e.rows {
				e.tiles[vectors-1](units, hi-lo, &w.segs.data[lo-first], &w.a.data[r], &w.b.data[at],
					(*uint32)(unsafe.Add(c, 4*(r*ldc+o*b.block-g.col0+col))), ldc, rows-r, cols, 0)
			}
			at += vectors * e.lanes * units * (hi - lo)
		}
	}
}

// blockGradJob computes the kept blocks of a weight gradient.
type blockGradJob struct {
	job
	pattern *PatternBlock
	span    int // block columns packed at a time
}

// blockSpan returns how many block columns, and how much of K, a weight gradient
// packs at a time. All columns at once are best, since the other operand is packed
// anew for each span; that leaves a shorter part of K, down to a quarter.
func blockSpan(p *PatternBlock, n, depth int) (span, kc int) {
	const most = 4 * maxColumns
	span = max(1, evenly(p.c, most, p.block)/p.block)
	units := min(maxUnits, maxUnits*maxColumns/(span*p.block))
	return span, evenly(n, max(8, units/8*8)*depth, 8*depth)
}

// part computes the blocks of one worker's block rows, over as many block columns
// and as much of K at a time as fit L2 when packed.
func (g *blockGradJob) part(w *worker, id, workers int) {
	p := g.pattern
	lo, hi := bounds(p.oc/p.block, workers, id)
	if lo == hi {
		return
	}
	units := ceil(g.kc, g.eng.depth())
	w.a.grow(panel * units)
	w.b.grow(g.span * g.packedColumns() * units)
	for k := 0; k < g.K; k += g.kc {
		n := min(g.kc, g.K-k)
		for col := 0; col < p.c/p.block; col += g.span {
			end := min(col+g.span, p.c/p.block)
			g.packColumns(w, col, end, k, n)
			for row := lo; row < hi; row++ {
				g.blockRow(w, row, col, end, k, n)
			}
		}
	}
}

// packedColumns returns the width of a block's packed columns.
func (g *blockGradJob) packedColumns() int {
	return roundUp(g.pattern.block, g.eng.tileWidth(g.pattern.block))
}

// packColumns packs K elements k to k+n of block columns col to end.
func (g *blockGradJob) packColumns(w *worker, col, end, k, n int) {
	block, width, at := g.pattern.block, g.eng.tileWidth(g.pattern.block), 0
	for ; col < end; col++ {
		for c := 0; c < block; c += width {
			cols := min(width, block-c)
			packed := roundUp(cols, g.eng.lanes)
			g.eng.b.pack(w.b.data[at:], packed, g.b.part(col*block+c, k), cols, n, &w.lines)
			at += packed * ceil(n, g.eng.depth())
		}
	}
}

// blockRow adds to the kept blocks of one block row in block columns col to end.
func (g *blockGradJob) blockRow(w *worker, row, col, end, k, n int) {
	l, block := &g.pattern.rows, g.pattern.block
	lo, hi := l.starts[row], l.starts[row+1]
	for lo < hi && l.other[lo] < col {
		lo++
	}
	for hi > lo && l.other[hi-1] >= end {
		hi--
	}
	for r := 0; r < block && lo < hi; r += panel {
		g.eng.a.pack(w.a.data, panel, g.a.part(row*block+r, k), panel, n, &w.lines)
		for i := lo; i < hi; i++ {
			g.tiles(w, l.other[i]-col, g.C.at(l.index[i]*block+r, 0), n)
		}
	}
}

// tiles adds a panel of rows times the packed block column i to a part of C.
func (g *blockGradJob) tiles(w *worker, i int, c unsafe.Pointer, n int) {
	e, block, units := g.eng, g.pattern.block, ceil(n, g.eng.depth())
	width, at := e.tileWidth(block), 0
	for col := 0; col < block; col += width {
		at += roundUp(min(width, block-col), e.lanes)
	}
	at *= i * units
	for col := 0; col < block; col += width {
		cols := min(width, block-col)
		vectors := ceil(cols, e.lanes)
		for r := 0; r < panel; r += e.rows {
			e.tiles[vectors-1](units, 1, &w.zero, &w.a.data[r], &w.b.data[at],
				(*uint32)(unsafe.Add(c, 4*(r*block+col))), block, panel-r, cols, 1)
		}
		at += vectors * e.lanes * units
	}
}
