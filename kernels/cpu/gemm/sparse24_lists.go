package gemm

// chunkRows is how many rows of a dense panel are used at a time: with the
// widest panel, two thirds of an L1 cache of 48 KiB.
const chunkRows = 128

// bandRows is how many sparse rows a call of a sparseFunc passes over. Rows are paired
// within a band: of many rows many are alike, and the ends of a pair's loops are predicted.
const bandRows = 256

// mixedSteps is how many mixed steps a sparseFunc takes at once.
const mixedSteps = 2

// placesSlack is how many places behind the last ones a sparseFunc may read.
const placesSlack = 8

// walkLines is how many lines of a walk a sparseFunc fetches for each pair.
const walkLines = 4

// rowPair is two rows that are multiplied together: their numbers within the band, and
// how often they take steps of each kind. A mixed step multiplies a place that both rows
// keep, and one of each row, and mixedSteps of these are counted as one; a shared step
// multiplies a place that both keep, an apart step one of each row.
type rowPair struct{ first, second, mixed, shared, apart uint16 }

// lists are the kept weights of a matrix in the order in which sparseFuncs take
// them: chunk by chunk of columns, within each band by band of rows.
type lists struct {
	rows, cols int
	starts     []listStart // of each chunk's bands, and the end
	pairs      []rowPair
	places     []uint8  // columns, counted from the chunk's first
	index      []uint16 // which of the region's values; blanks meet a row of zeros

	region   region
	byColumn bool // rows of the lists are columns of the values
}

// listStart is where a band's pairs, places and values begin.
type listStart struct{ pair, place, value int }

// kept is a kept weight: its column within the chunk, and which of the region's values
// it is.
type kept struct{ column, index uint16 }

// blank is an entry that stands for no value.
var blank = kept{chunkRows, blankAt}

// eachKept passes kept weights, and the row and column of each among the values.
type eachKept func(yield func(row, col, valueRow, valueCol int))

// newLists makes the lists of a matrix from its kept weights; each must pass those
// of a row in ascending order.
func newLists(rows, cols int, byColumn bool, each eachKept) lists {
	l := lists{rows: rows, cols: cols, byColumn: byColumn, region: region{bandRows, chunkRows / 2}}
	if byColumn {
		l.region = region{bandRows / 2, chunkRows}
	}
	runs, n := l.newRuns(each)
	l.places, l.index = make([]uint8, 0, n), make([]uint16, 0, n+n/32)
	var p pairer
	for q := range ceil(cols, chunkRows) {
		for band := 0; band < rows; band += bandRows {
			l.mark()
			p.pair(runs[q*rows+band:q*rows+min(band+bandRows, rows)], l.addPair)
		}
	}
	l.mark()
	l.places = append(l.places, make([]uint8, placesSlack)...) // and an empty last band's have an address
	return l
}

// newRuns sorts kept weights by chunk and row, by counting, and counts them all.
func (l *lists) newRuns(each eachKept) (runs [][]kept, n int) {
	counts := make([]int, ceil(l.cols, chunkRows)*l.rows)
	each(func(row, col, _, _ int) { counts[col/chunkRows*l.rows+row]++; n++ })
	all := make([]kept, n)
	runs = make([][]kept, len(counts))
	for i, count := range counts {
		runs[i], all = all[:0:count], all[count:]
	}
	each(func(row, col, valueRow, valueCol int) {
		run := &runs[col/chunkRows*l.rows+row]
		if l.byColumn {
			valueRow, valueCol = valueCol, valueRow
		}
		index := valueRow%l.region.rows*l.region.cols + valueCol%l.region.cols
		*run = append(*run, kept{uint16(col % chunkRows), uint16(index)})
	})
	return runs, n
}

// mark notes where a band begins.
func (l *lists) mark() {
	l.starts = append(l.starts, listStart{len(l.pairs), len(l.places), len(l.index)})
}

// band returns a band's pairs in a chunk, its places, and which is its first value.
func (l *lists) band(chunk, band int) (pairs []rowPair, places *uint8, value int) {
	at := chunk*ceil(l.rows, bandRows) + band
	start, end := l.starts[at], l.starts[at+1]
	return l.pairs[start.pair:end.pair], &l.places[start.place], start.value
}

func (l *lists) bytes() int64 {
	return int64(24*len(l.starts) + 10*len(l.pairs) + len(l.places) + 2*len(l.index))
}

// addPair appends the steps of two rows.
func (l *lists) addPair(first, second int, p *parted) {
	mixed, shared, apart := steps(len(p.both), len(p.a), len(p.b))
	l.pairs = append(l.pairs, rowPair{uint16(first), uint16(second), uint16(mixed), uint16(shared), uint16(apart)})
	mixed *= mixedSteps
	for i := range mixed {
		l.addShared(p.both[i])
		l.addApart(nth(p.a, i), nth(p.b, i))
	}
	for i := range shared {
		l.addShared(p.both[mixed+i])
	}
	for i := range apart {
		l.addApart(nth(p.a, mixed+i), nth(p.b, mixed+i))
	}
}

// addShared appends the kept weights of a pair at one place.
func (l *lists) addShared(k [2]kept) {
	l.places = append(l.places, uint8(k[0].column))
	l.index = append(l.index, k[0].index, k[1].index)
}

// addApart appends a kept weight of each row of a pair.
func (l *lists) addApart(a, b kept) {
	l.places = append(l.places, uint8(a.column), uint8(b.column))
	l.index = append(l.index, a.index, b.index)
}

// nth returns an entry of a run, or a blank behind its end.
func nth(run []kept, i int) kept {
	if i < len(run) {
		return run[i]
	}
	return blank
}

// steps returns how often steps of each kind are taken by a pair of rows that share so
// many places and keep so many alone.
func steps(both, a, b int) (mixed, shared, apart int) {
	alone := max(a, b)
	mixed = min(both, alone) / mixedSteps
	return mixed, both - mixed*mixedSteps, alone - mixed*mixedSteps
}
