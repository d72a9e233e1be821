package gemm

import "unsafe"

// panel is the number of rows of A packed side by side.
const panel = 8

// engine is one way to multiply operands of one type: a register tile, and the
// packing that brings elements into its 32-bit units. A unit holds one float32,
// two bfloat16 or four int8 that are neighbours along K.
type engine struct {
	name  string
	lanes int        // columns in a vector
	rows  int        // rows that one call of a tile computes; divides panel
	tiles []tileFunc // of one vector, two, ...
	out   int        // bytes of a result that they store
	a, b  packer
	float bool // sums are float32, else int32
	row   rowOps

	// start writes the first row of a packed panel of B, of one vector, two, ...,
	// from the k rows below it, for tiles whose sums start at that row. Nil for
	// tiles whose sums start at zero: their panels have no such row.
	start []func(b *uint32, k int)

	// For sparse rows: kernels for panels of 16, 32, 64, ... columns; the
	// elements, and sums to transpose, as float32 units; to[i] = from[index[i]],
	// which may fetch a line of a walk for each eight.
	sparse      []sparseFunc
	wide, words packer
	turn        func(dst *uint32, stride int, src *uint32, ld, n int) // turnWords, or nil
	gather      func(to []float32, index []uint16, from []float32, walk *uintptr)

	inPlace []inPlaceFunc // of one vector, two, ...; or nil. Tiles of panel rows only.

	// Of one vector, two, ...; or nil. A block's outputs lie together in each unit, or in
	// the second if there is one, its units in each output.
	turned, turnedRows []turnedFunc

	// turnLines packs 16 rows of n lines whose words are units; or nil.
	turnLines func(dst *uint32, stride int, src *byte, ld, n int)

	strips   []stripsFunc                   // of one vector, two, ...; or nil
	addLines func(to, from *float32, n int) // of 16 each; where there are strips

	masked []maskedFunc // of one vector, two, ...; or nil
	spread func(dst, a *uint32, k int)

	selected selectedFunc // or nil

	rounding *engine // the same whose tiles store bfloat16 and never add; or nil
}

// width returns the columns of the widest tile.
func (e *engine) width() int { return e.lanes * len(e.tiles) }

// columns returns how many of n columns the next panel of B takes: a full width,
// but less where that would leave one vector, whose tile is slower.
func (e *engine) columns(n int) int {
	if w := e.width(); n > w && n <= w+e.lanes && len(e.tiles) > 1 {
		return w - e.lanes
	}
	return min(n, e.width())
}

// stripsOf returns the width of the next panels of B, and how many of n columns are in
// panels of that width.
func (e *engine) stripsOf(n int) (width, columns int) {
	width = e.columns(n)
	for columns = width; columns < n && e.columns(n-columns) == width; {
		columns += width
	}
	return roundUp(width, e.lanes), min(columns, n)
}

// depth returns the elements of K in a unit.
func (e *engine) depth() int { return e.a.depth }

// head returns how many rows a packed panel of B has in front of its units.
func (e *engine) head() int { return min(1, len(e.start)) }

// tileFunc computes, for i < min(rows, engine.rows) and j < cols:
//
//	for s := range segs {
//		for u := range k {
//			acc += dot(a[seg[s]/4+u*panel+i], b[(s*k+u)*width+j])
//		}
//	}
//	if add != 0 { c[i*ldc+j] += acc } else { c[i*ldc+j] = acc }
//
// Segments are runs of K that lie apart in A: one for a dense product. The sums
// start at zero or, for an engine with start, at the row of B in front of b[0]. A
// tile may fetch a line for each unit as a walk says, and move that on; in assembly it
// does so for engine.fetches of them.
type tileFunc func(k, segs int, seg *uint32, a, b, c *uint32, ldc, rows, cols, add int, walk *uintptr)

// inPlaceFunc is a tileFunc for rows of A as they lie in memory, lda bytes apart, with
// their units along K: the unit of row i is a[i*lda/4+seg[s]/4+u]. It reads panel rows,
// whatever rows says.
type inPlaceFunc func(k, segs int, seg, a *uint32, lda int, b, c *uint32, ldc, rows, cols, add int, walk *uintptr)

// turnedFunc multiplies kept blocks of 16 outputs with a packed panel of rows, a row to a
// lane, of 16 rows for each vector. It computes, for j < 16 and i < width:
//
//	for s := range segs {
//		for u := range k {
//			acc += dot(unit u of output j of the block at a[seg[2*s+1]], b[(seg[2*s]+u)*width+i])
//		}
//	}
//	c[i*16+j] = acc
//
// and reads one entry of seg more. For each unit it fetches a line as a walk says, and
// copies one as long as there are copies to make, at most two for each unit:
//
//	to[n*step/4+i] = from[n*16+i] // for i < 16
type turnedFunc func(k, segs int, seg *uint32, a *byte, b, c, from, to *uint32, step, copies int, walk *uintptr)

// stripsFunc multiplies a panel of A with vectors of B that lie anywhere, all in strips
// of 16 words, and adds to vectors of C that do, for i < panel and j < 16:
//
//	for u := range k {
//		c[v][i*ldc+j] += dot(a[u*16+i], b[v][u*16+j])
//	}
//
// with b in the first half of bc and c in the second. Meanwhile it copies a line for each
// unit, unless from is nil, and fetches one as a walk says:
//
//	to[u*16+j] = from[u*step/4+j]
type stripsFunc func(k int, a *uint32, bc *[6]uintptr, ldc int, from *byte, step int, to *uint32, walk *uintptr)

// rowPanel is a panel of A as tiles read it: packed, or rows that lie lda bytes apart.
type rowPanel struct {
	at  *uint32
	lda int // 0 if packed
}

// strip computes what a tileFunc of enough vectors does, for all rows of a panel, and
// fetches some of what comes next.
func (e *engine) strip(k, segs int, seg *uint32, a rowPanel, b *uint32, c unsafe.Pointer, ldc, rows, cols, add int, next *fetcher) {
	vectors := ceil(cols, e.lanes)
	if a.lda > 0 {
		e.inPlace[vectors-1](k, segs, seg, a.at, a.lda, b, (*uint32)(c), ldc, rows, cols, add, next.walk(b, e.fetches(k, segs)))
		return
	}
	for r := 0; r < rows; r += e.rows {
		e.tiles[vectors-1](k, segs, seg, after(a.at, r), b, (*uint32)(unsafe.Add(c, r*ldc*e.out)), ldc, rows-r, cols, add, next.walk(b, e.fetches(k, segs)))
	}
}

// fetches returns how many lines a tile fetches on its walk: in its last units it
// fetches C instead, unless it has no others.
func (e *engine) fetches(k, segs int) int {
	if k <= e.rows {
		return k * segs
	}
	return k*segs - e.rows
}

// maskedFunc adds to 2:4 values, for i < min(rows, panel) and j < cols/2:
//
//	place := meta[i*stride+j/4] >> (j % 4 * 2) & 3
//	for u := range k {
//		values[i*ldv+j] += dot(a[(u*panel+i/4*4)*4+i%4], b[u*width+j/2*4+place])
//	}
//
// with a as spreadRows leaves it. It reads meta of panel rows and of all columns of
// its vectors.
type maskedFunc func(k int, a, b *uint32, meta *byte, stride int, values *float32, ldv, rows, cols int)

// selectedFunc multiplies rows of x with 2:4 weights. It computes, for i < min(rows,
// selectedRows) and j < cols <= selectedColumns, with two groups of four to a unit:
//
//	var acc float32
//	for g := range 2 * k {
//		first, second := the 16-bit values that control[g*selectedColumns+j] selects from x[i*ldx+g/2*8:]
//		acc += first * b[g*selectedColumns+j].lo + second * b[g*selectedColumns+j].hi
//	}
//	c[i*ldc+j] = acc
//
// A control holds the places of four bytes, counted from the start of the unit.
type selectedFunc func(k int, x *uint16, ldx int, b, control *uint32, c *float32, ldc, rows, cols int)

// sparseFunc multiplies pairs of sparse rows with a panel. It computes, for j < width:
//
//	for range pairs {
//		a, b := rows pair.first and pair.second of sums, cleared if add == 0
//		for range pair.mixed * mixedSteps {
//			shared()
//			apart()
//		}
//		for range pair.shared { shared() }
//		for range pair.apart { apart() }
//		pair = the next rowPair
//	}
//
// where shared multiplies a place of both rows and apart one of each:
//
//	shared := func() {
//		a[j] += values[0] * panel[places[0]*width+j]
//		b[j] += values[1] * panel[places[0]*width+j]
//		places, values = places[1:], values[2:]
//	}
//	apart := func() {
//		a[j] += values[0] * panel[places[0]*width+j]
//		b[j] += values[1] * panel[places[1]*width+j]
//		places, values = places[2:], values[2:]
//	}
//
// It may read placesSlack more places, and fetch walkLines for each pair as a walk says,
// and move that on.
type sparseFunc func(pairs int, pair *uint16, places *uint8, values, panel, sums *float32, add int, walk *uintptr)

// packer brings elements of one type into units.
type packer struct {
	depth int // elements of K in a unit
	size  int // bytes of an element

	// unit makes a unit of n elements, step bytes apart; missing ones are zero.
	unit func(p unsafe.Pointer, step uintptr, n int) uint32

	// rows packs eight lines that run along K, n groups of eight units; cols
	// packs n units of 8w lines whose elements run across, sixteen lines after
	// sixteen. Nil where only unit serves. In bytes, stride is from a packed unit to
	// the next along K and apart from the first eight of sixteen lines to the others;
	// sixteens follow each other per at a time, and every per of them begin next
	// further.
	rows func(dst *uint32, stride int, rows *[8]*byte, n int)
	cols func(dst *uint32, stride, apart, per, next int, src *byte, ld, n, w int)
}

// variants holds the engines of each operand type, slowest first.
var variants = func() (v [I8 + 1][]*engine) {
	for t := range v {
		v[t] = append([]*engine{goEngines[t]}, asmEngines(Type(t))...)
	}
	return v
}()
