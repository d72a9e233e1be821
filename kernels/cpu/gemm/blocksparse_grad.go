package gemm

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
	const most = 2304
	span = max(1, evenly(p.c, most, p.block)/p.block)
	units := min(maxUnits, maxUnits*maxColumns/(span*p.block))
	return span, evenly(n, max(8, units/8*8)*depth, 8*depth)
}

// rowGroup returns how many block rows of the other operand are packed at a time.
func (p *PatternBlock) rowGroup() int { return max(1, panel*columnBlocks/p.block) }

// part computes the blocks of one worker's block rows, over as many block columns
// and as much of K at a time as fit L2 when packed.
func (g *blockGradJob) part(w *worker, id, workers int) {
	p := g.pattern
	lo, hi := bounds(p.oc/p.block, workers, id)
	if lo == hi {
		return
	}
	units, group := ceil(g.kc, g.eng.depth()), p.rowGroup()
	w.a.grow(group * p.block * units)
	w.b.grow(g.span * g.packedColumns() * units)
	for k := 0; k < g.K; k += g.kc {
		n := min(g.kc, g.K-k)
		for col := 0; col < p.c/p.block; col += g.span {
			end := min(col+g.span, p.c/p.block)
			g.packColumns(w, rect{lo, hi, col, end}, k, n)
			for row := lo; row < hi; row += group {
				g.blockRows(w, rect{row, min(row+group, hi), col, end}, k, n)
			}
		}
	}
}

// packedColumns returns the width of a block's packed columns.
func (g *blockGradJob) packedColumns() int {
	return roundUp(g.pattern.block, g.eng.lanes)
}

// packStrip is how many units of K of all block columns are packed before the
// next, so that memory is read row by row.
const packStrip = 16

// packColumns packs K elements k to k+n of the block columns in which the block
// rows keep anything.
func (g *blockGradJob) packColumns(w *worker, r rect, k, n int) {
	p, e := g.pattern, g.eng
	width, units := e.tileWidth(p.block), ceil(n, e.depth())
	for done := 0; done < n; done += packStrip * e.depth() {
		part := min(packStrip*e.depth(), n-done)
		for i := r.col0; i < r.col1; i++ {
			if !p.columns.meets(i, r.row0, r.row1) {
				continue
			}
			at := (i - r.col0) * g.packedColumns() * units
			for c := 0; c < p.block; c += width {
				cols := min(width, p.block-c)
				packed := roundUp(cols, e.lanes)
				e.b.pack(w.b.data[at+done/e.depth()*packed:], packed, g.b.part(i*p.block+c, k+done), cols, part, &w.lines)
				at += packed * units
			}
		}
	}
}

// meets reports whether a line keeps a block in the others from lo up to hi.
func (l *blockLists) meets(line, lo, hi int) bool {
	for _, o := range l.other[l.starts[line]:l.starts[line+1]] {
		if o >= lo && o < hi {
			return true
		}
	}
	return false
}

// blockRows adds to the kept blocks of a group of block rows.
func (g *blockGradJob) blockRows(w *worker, r rect, k, n int) {
	l, block := &g.pattern.rows, g.pattern.block
	g.eng.a.packPanels(w.a.data, g.a.part(r.row0*block, k), (r.row1-r.row0)*block, n, &w.lines)
	for row := r.row0; row < r.row1; row++ {
		for i := l.starts[row]; i < l.starts[row+1]; i++ {
			if col := l.other[i]; col >= r.col0 && col < r.col1 {
				g.tiles(w, row-r.row0, col-r.col0, l.index[i], n)
			}
		}
	}
}

// tiles adds the product of a packed block row and a packed block column to a kept
// block.
func (g *blockGradJob) tiles(w *worker, row, col, index, n int) {
	e, block, units := g.eng, g.pattern.block, ceil(n, g.eng.depth())
	width, at := e.tileWidth(block), col*g.packedColumns()*units
	for c := 0; c < block; c += width {
		cols := min(width, block-c)
		for r := 0; r < block; r += panel {
			e.strip(units, 1, &w.zero, &w.a.data[(row*block+r)*units], &w.b.data[at],
				(*uint32)(g.C.at(index*block+r, c)), block, panel, cols, 1, &w.next)
		}
		at += roundUp(cols, e.lanes) * units
	}
}
