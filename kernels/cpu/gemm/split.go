package gemm

import "math"

// columnUnit is the granularity in which the columns of a dense result are dealt
// out.
const columnUnit = 16

// rect is a rectangle of C: rows row0 <= i < row1, columns col0 <= j < col1.
type rect struct{ row0, row1, col0, col1 int }

func (r rect) empty() bool { return r.row0 >= r.row1 || r.col0 >= r.col1 }

// grid is a split of an m by n result among rows*cols workers, in units of so
// many rows and columns.
type grid struct {
	m, n             int
	rowUnit, colUnit int
	rows, cols       int
}

// packCost is the time to pack one element, in multiplications of a whole
// vector of 16: what a split pays for each row and column of a rectangle, since
// every worker packs for itself.
const packCost = 0.5

// newGrid splits a result among workers so that the largest rectangle takes
// least time, packing included; of equal ones the split by rows, whose tiles are
// wider and whose workers write to pages of their own. It may leave workers idle
// where the shape does not divide.
func newGrid(m, n, rowUnit, colUnit, workers int) grid {
	var best grid
	bestCost := math.Inf(1)
	for rows := workers; rows >= 1; rows-- {
		g := grid{m, n, rowUnit, colUnit, rows, workers / rows}
		h, w := g.largest()
		if cost := float64(h)*float64(w)/16 + packCost*float64(h+w); cost < bestCost {
			best, bestCost = g, cost
		}
	}
	return best
}

// largest returns the size of the largest rectangle, before the result's edge
// cuts it.
func (g grid) largest() (rows, cols int) {
	return ceil(ceil(g.m, g.rowUnit), g.rows) * g.rowUnit, ceil(ceil(g.n, g.colUnit), g.cols) * g.colUnit
}

// rect returns a worker's rectangle, which may be empty.
func (g grid) rect(worker int) rect {
	if worker >= g.rows*g.cols {
		return rect{}
	}
	r0, r1 := bounds(ceil(g.m, g.rowUnit), g.rows, worker/g.cols)
	c0, c1 := bounds(ceil(g.n, g.colUnit), g.cols, worker%g.cols)
	return rect{r0 * g.rowUnit, min(r1*g.rowUnit, g.m), c0 * g.colUnit, min(c1*g.colUnit, g.n)}
}

// bounds returns part i of n things dealt out evenly to parts.
func bounds(n, parts, i int) (lo, hi int) { return n * i / parts, n * (i + 1) / parts }

func ceil(a, b int) int { return (a + b - 1) / b }

func roundUp(a, b int) int { return ceil(a, b) * b }
