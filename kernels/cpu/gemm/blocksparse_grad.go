package gemm

// blockGradJob computes the kept blocks of a weight gradient.
type blockGradJob struct {
	job
	pattern *PatternBlock
	span    int // block columns packed at a time
	parts   int // into which the tokens are cut, one for each worker; 1 if block rows are
}

// blockSpan returns how many block columns, and how much of K, a weight gradient packs
// at a time. Many columns are best, since the other operand is packed anew for each
// span; that leaves a shorter part of K, so that what is packed fills half of L2.
func blockSpan(p *PatternBlock, n, depth int) (span, kc int) {
	const most, words = 1152, 128 << 10
	span = max(1, evenly(p.c, most, p.block)/p.block)
	units := min(maxUnits, words/(span*p.block))
	return span, evenly(n, max(8, units/8*8)*depth, 8*depth)
}

// rowGroup returns how many block rows of the other operand are packed at a time.
func (p *PatternBlock) rowGroup() int { return max(1, across/p.block) }

// blockPart is what a worker packs at a time: some block rows, some block columns, and
// n elements of K from k on.
type blockPart struct {
	rect
	k, n int
}

// part computes the blocks of one worker's block rows. While it multiplies, it fetches
// what it packs next: with few blocks, waiting for that would take most of the time.
func (g *blockGradJob) part(w *worker, id, workers int) {
	p := g.pattern
	if g.parts > 1 {
		g.tokenPart(w, id)
		return
	}
	lo, hi := bounds(p.oc/p.block, workers, id)
	if lo == hi {
		return
	}
	if g.eng.strips != nil {
		g.stripPart(w, lo, hi, 0)
		return
	}
	units, group := ceil(g.kc, g.eng.depth()), p.rowGroup()
	w.a.grow(group * p.block / panel * stripWords(panel, units))
	w.b.grow(g.span * g.columnWords(units))
	for k := 0; k < g.K; k += g.kc {
		for col := 0; col < p.c/p.block; col += g.span {
			all := blockPart{rect{lo, hi, col, min(col+g.span, p.c/p.block)}, k, min(g.kc, g.K-k)}
			g.packColumns(w, all)
			next := g.following(all)
			w.next.then = g.columnStretch(next)
			for rows := all; rows.row0 < hi; rows.row0 = rows.row1 {
				rows.row1 = min(rows.row0+group, hi)
				w.next.first = g.rowStretch(all, next, rows.row1)
				g.blockRows(w, rows)
			}
		}
	}
	w.next = fetcher{}
}

// following returns the part after one that has all block rows, with n = 0 if there is
// none.
func (g *blockGradJob) following(b blockPart) blockPart {
	cols := g.pattern.c / g.pattern.block
	if b.col0 = b.col1; b.col0 == cols {
		b.col0 = 0
		b.k += g.kc
	}
	b.col1 = min(b.col0+g.span, cols)
	b.n = max(0, min(g.kc, g.K-b.k))
	return b
}

// columnStretch returns the memory of a part's columns.
func (g *blockGradJob) columnStretch(b blockPart) stretch {
	if b.n == 0 {
		return stretch{}
	}
	block := g.pattern.block
	return stretchOf(g.b.part(b.col0*block, b.k), (b.col1-b.col0)*block, b.n, g.eng.b.size)
}

// rowStretch returns the memory of the group of block rows that starts with row, or
// else of the first group of the next part.
func (g *blockGradJob) rowStretch(b, next blockPart, row int) stretch {
	if row == b.row1 {
		b, row = next, next.row0
	}
	if b.n == 0 {
		return stretch{}
	}
	block := g.pattern.block
	rows := min(g.pattern.rowGroup(), b.row1-row)
	return stretchOf(g.a.part(row*block, b.k), rows*block, b.n, g.eng.a.size)
}

// columnWords returns the size of a packed block column: strips for tiles.
func (g *blockGradJob) columnWords(units int) int {
	width := g.eng.tileWidth(g.pattern.block)
	return ceil(g.pattern.block, width) * stripWords(width, units)
}

// packColumns packs the block columns in which the block rows keep anything, as many
// neighbours at a time as there are.
func (g *blockGradJob) packColumns(w *worker, b blockPart) {
	columns := &g.pattern.columns
	for i := b.col0; i < b.col1; {
		end := i
		for end < b.col1 && columns.meets(end, b.row0, b.row1) {
			end++
		}
		g.packRun(w, i, end, b)
		i = end + 1
	}
}

// packRun packs neighbouring block columns: at once, if a block is cut into tiles of
// the same width.
func (g *blockGradJob) packRun(w *worker, i, end int, b blockPart) {
	e, block, units := g.eng, g.pattern.block, ceil(b.n, g.eng.depth())
	width, at := e.tileWidth(block), (i-b.col0)*g.columnWords(units)
	if block%width == 0 {
		e.b.packStrips(w.b.data[at:], width, stripWords(width, units), g.b.part(i*block, b.k), (end-i)*block, b.n, &w.lines)
		return
	}
	for c := i * block; c < end*block; {
		cols := min(width, block-c%block)
		e.b.pack(w.b.data[at:], roundUp(cols, e.lanes), g.b.part(c, b.k), cols, b.n, &w.lines)
		at += stripWords(width, units)
		c += cols
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
func (g *blockGradJob) blockRows(w *worker, b blockPart) {
	l, block, stride := &g.pattern.rows, g.pattern.block, stripWords(panel, ceil(b.n, g.eng.depth()))
	g.eng.a.packStrips(w.a.data, panel, stride, g.a.part(b.row0*block, b.k), (b.row1-b.row0)*block, b.n, &w.lines)
	for row := b.row0; row < b.row1; row++ {
		for i := l.starts[row]; i < l.starts[row+1]; i++ {
			if col := l.other[i]; col >= b.col0 && col < b.col1 {
				g.tiles(w, row-b.row0, col-b.col0, l.index[i], b.n)
			}
		}
	}
}

// tiles adds the product of a packed block row and a packed block column to a kept
// block.
func (g *blockGradJob) tiles(w *worker, row, col, index, n int) {
	e, block, units := g.eng, g.pattern.block, ceil(n, g.eng.depth())
	width, at := e.tileWidth(block), col*g.columnWords(units)
	for c := 0; c < block; c += width {
		cols := min(width, block-c)
		for r := 0; r < block; r += panel {
			a := rowPanel{at: &w.a.data[(row*block+r)/panel*stripWords(panel, units)]}
			e.strip(units, 1, &w.zero, a, &w.b.data[at],
				g.C.at(index*block+r, c), block, panel, cols, 1, &w.next)
		}
		at += stripWords(width, units)
	}
}
