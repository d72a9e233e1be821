package gemm

import "unsafe"

// stripWidth is the words of a unit of K in a strip: a line.
const stripWidth = lineWords

// feed is a run of strips to be packed. Tiles do that while they multiply, a strip each.
type feed struct {
	from      view
	k         int // elements of K
	to        []uint32
	next, end int // the strips that are left
	used      []uint32
	per       int // used says which groups of so many strips are needed; nil for all
}

// skip passes strips that are not needed, and reports whether one is left.
func (f *feed) skip() bool {
	for f.used != nil && f.next < f.end && f.used[f.next/f.per] == 0 {
		f.next++
	}
	return f.next < f.end
}

// take returns the next strip for a tile of k units, or nil. Tiles copy whole lines, so
// that elements must be units.
func (f *feed) take(k, stride int) (from *byte, to *uint32) {
	if f.k != k || f.from.line != lineBytes/stripWidth || !f.skip() {
		return nil, nil
	}
	from, to = (*byte)(f.from.at(f.next*stripWidth, 0)), &f.to[f.next*stride]
	f.next++
	return from, to
}

// finish packs what is left.
func (f *feed) finish(p *packer, stride int, lines *lineSet) {
	for f.skip() {
		end := f.next + 1
		for end < f.end && (f.used == nil || f.used[end/f.per] != 0) {
			end++
		}
		p.packStrips(f.to[f.next*stride:], stripWidth, stride, f.from.part(f.next*stripWidth, 0), (end-f.next)*stripWidth, f.k, lines)
		f.next = end
	}
}

// stripWork is how a worker computes its block rows, from lo to hi, from strips: those of
// a group of block rows, and those of some block columns and a part of K. While tiles
// multiply, they pack the strips that are needed next, from lines that they fetched
// before.
type stripWork struct {
	*blockGradJob
	w                                    *worker
	lo, hi                               int
	groups                               int // of block rows
	per                                  int // strips of a block
	stride                               int // words from a strip to the next
	rows, columns, nextRows, nextColumns []uint32
	rowFeed, columnFeed                  feed
	pressed                              bool // there are more strips to pack than every other tile can
}

// stripPart computes block rows from a token on.
func (g *blockGradJob) stripPart(w *worker, lo, hi, k int) {
	p := g.pattern
	s := stripWork{blockGradJob: g, w: w, lo: lo, hi: hi, groups: ceil(hi-lo, p.rowGroup()), per: p.block / stripWidth, stride: stripWords(stripWidth, ceil(g.kc, g.eng.depth()))}
	w.a.grow(2 * p.rowGroup() * s.per * s.stride)
	w.b.grow(2 * g.span * s.per * s.stride)
	s.rows, s.nextRows = halves(w.a.data[:2*p.rowGroup()*s.per*s.stride])
	s.columns, s.nextColumns = halves(w.b.data[:2*g.span*s.per*s.stride])
	s.markUsed()
	at := blockPart{rect{lo, min(lo+p.rowGroup(), hi), 0, min(g.span, p.c/p.block)}, k, min(g.kc, g.K-k)}
	s.feedRows(at, s.rows)
	s.feedColumns(at, s.columns)
	s.columnFeed.end = s.strips(at)
	s.rowFeed.finish(&g.eng.b, s.stride, &w.lines)
	s.columnFeed.finish(&g.eng.b, s.stride, &w.lines)
	for at.n > 0 {
		at = s.step(at)
	}
	w.next = fetcher{}
}

// halves cuts a buffer in two.
func halves(b []uint32) (first, second []uint32) { return b[:len(b)/2], b[len(b)/2:] }

// markUsed notes in which block columns the worker's rows keep anything.
func (s *stripWork) markUsed() {
	s.w.segs.grow(s.pattern.c / s.pattern.block)
	for i := range s.pattern.c / s.pattern.block {
		s.w.segs.data[i] = 0
		if s.pattern.columns.meets(i, s.lo, s.hi) {
			s.w.segs.data[i] = 1
		}
	}
}

// strips returns how many strips the columns of a part have.
func (s *stripWork) strips(b blockPart) int { return (b.col1 - b.col0) * s.per }

// step computes a group of block rows in one part, and returns the next. The strips of
// the next part's columns are shared out among the groups.
func (s *stripWork) step(at blockPart) blockPart {
	group := (at.row0 - s.lo) / s.pattern.rowGroup()
	last := group+1 == s.groups
	next, part := s.after(at), s.following(at)
	s.feedRows(next, s.nextRows)
	if group == 0 {
		s.feedColumns(part, s.nextColumns)
	}
	if part.n > 0 {
		s.columnFeed.end = s.strips(part) * (group + 1) / s.groups
	}
	s.fetchAhead(s.after(next), part, group)
	s.pressed = 2*(s.rowFeed.end+s.columnFeed.end-s.columnFeed.next) > s.countTiles(at)
	for row := at.row0; row < at.row1; row++ {
		s.row(at, row, s.rows[(row-at.row0)*s.per*s.stride:])
	}
	s.rowFeed.finish(&s.eng.b, s.stride, &s.w.lines)
	s.rows, s.nextRows = s.nextRows, s.rows
	if last {
		s.columnFeed.finish(&s.eng.b, s.stride, &s.w.lines)
		s.columns, s.nextColumns = s.nextColumns, s.columns
	}
	return next
}

// countTiles returns how many tiles compute a group.
func (s *stripWork) countTiles(b blockPart) (n int) {
	for row := b.row0; row < b.row1; row++ {
		at, end := s.pattern.rows.within(row, b.col0, b.col1)
		n += ceil((end-at)*s.per, 3)
	}
	return n * s.pattern.block / panel
}

// after returns the group of block rows that follows, in the same part or the next.
func (s *stripWork) after(b blockPart) blockPart {
	if b.n == 0 {
		return b
	}
	if b.row0 = b.row1; b.row0 == s.hi {
		b.row0 = s.lo
		b = s.following(b)
	}
	b.row1 = min(b.row0+s.pattern.rowGroup(), s.hi)
	return b
}

// fetchAhead has fetched what is packed in the next step: rows, and the next share of
// columns, of the next part or the one after it.
func (s *stripWork) fetchAhead(rows, part blockPart, group int) {
	s.w.next.first, s.w.next.then = s.rowStretch(rows, blockPart{}, rows.row0), stretch{}
	if group+1 == s.groups && part.n > 0 {
		part, group = s.following(part), -1
	}
	if part.n > 0 {
		lo, hi := s.strips(part)*(group+1)/s.groups, s.strips(part)*(group+2)/s.groups
		s.w.next.then = stretchOf(s.b.part(part.col0*s.pattern.block+lo*stripWidth, part.k), (hi-lo)*stripWidth, part.n, s.eng.b.size)
	}
}

// feedRows has the strips of a part's rows packed.
func (s *stripWork) feedRows(b blockPart, to []uint32) {
	s.rowFeed = feed{}
	if b.n > 0 {
		s.rowFeed = feed{from: s.a.part(b.row0*s.pattern.block, b.k), k: b.n, to: to, end: (b.row1 - b.row0) * s.per}
	}
}

// feedColumns has those of a part's columns packed, as soon as the end is set.
func (s *stripWork) feedColumns(b blockPart, to []uint32) {
	s.columnFeed = feed{}
	if b.n > 0 {
		s.columnFeed = feed{from: s.b.part(b.col0*s.pattern.block, b.k), k: b.n, to: to, used: s.w.segs.data[b.col0:], per: s.per}
	}
}

// row adds to the kept blocks of a block row, whose strips are given.
func (s *stripWork) row(b blockPart, row int, strips []uint32) {
	l, block := &s.pattern.rows, s.pattern.block
	at, end := l.within(row, b.col0, b.col1)
	columns, values := uintptr(unsafe.Pointer(unsafe.SliceData(s.columns))), uintptr(s.C.at(0, 0))
	strip, bytes, c := uintptr(4*s.stride), uintptr(4*block*block), 0
	for left := (end - at) * s.per; left > 0; {
		n := tileVectors(left)
		left -= n
		for i := range n {
			s.w.strips[i] = columns + uintptr((l.other[at]-b.col0)*s.per+c)*strip
			s.w.strips[3+i] = values + uintptr(l.index[at])*bytes + uintptr(4*c*stripWidth)
			if c++; c == s.per {
				at, c = at+1, 0
			}
		}
		s.tiles(s.eng.strips[n-1], ceil(b.n, s.eng.depth()), strips)
	}
}

// tiles passes a block row's strips over up to three of the columns. The first tile of
// two waits for L2 already, since it brings the columns into L1; the other one packs if
// that is enough.
func (s *stripWork) tiles(tile stripsFunc, n int, strips []uint32) {
	w, block := s.w, s.pattern.block
	for r := 0; r < block; r += panel {
		from, to, step := (*byte)(nil), (*uint32)(nil), s.a.step
		if s.pressed || r&panel != 0 {
			if from, to = s.rowFeed.take(n, s.stride); from == nil {
				step = s.b.step
				from, to = s.columnFeed.take(n, s.stride)
			}
		}
		tile(n, &strips[r/stripWidth*s.stride+r%stripWidth], &w.strips, block, from, int(step), to, w.next.walk(&strips[0], n))
		for i := range w.strips[3:] {
			w.strips[3+i] += uintptr(4 * panel * block)
		}
	}
}

// within returns which blocks of a line lie in the others from lo up to hi.
func (l *blockLists) within(line, lo, hi int) (at, end int) {
	at, end = l.starts[line], l.starts[line+1]
	for at < end && l.other[at] < lo {
		at++
	}
	for at < end && l.other[end-1] >= hi {
		end--
	}
	return at, end
}

// tileVectors returns how many of n vectors the next tile takes: three, but two where
// that would leave one.
func tileVectors(n int) int {
	if n == 4 {
		return 2
	}
	return min(n, 3)
}
