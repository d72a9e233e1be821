package gemm

// columnUnit is the granularity in which columns are dealt out.
const columnUnit = 16

// rect is a rectangle of C: rows row0 <= i < row1, columns col0 <= j < col1.
type rect struct{ row0, row1, col0, col1 int }

func (r rect) empty() bool { return r.row0 >= r.row1 || r.col0 >= r.col1 }

// grid is a split of C among rows*cols workers.
type grid struct{ rows, cols int }

// packCost is the time to pack one element, in multiplications of a whole
// vector of 16: what a split pays for each row and column of a rectangle, since
// every worker packs for itself.
const packCost = 0.5

// newGrid splits an m by n result among workers so that the largest rectangle
// takes least time, packing included. It may leave workers idle where the shape
// does not divide.
func newGrid(m, n, workers int) grid {
	best, bestCost := grid{1, 1}, -1.0
	for rows := 1; rows <= workers; rows++ {
		g := grid{rows, workers / rows}
		h, w := g.largest(m, n)
		cost := float64(h)*float64(w)/columnUnit + packCost*float64(h+w)
		if bestCost < 0 || cost < bestCost {
			best, bestCost = g, cost
		}
	}
	return best
}

// rect returns a worker's rectangle of an m by n result.
func (g grid) rect(worker, m, n int) rect {
	if worker >= g.rows*g.cols {
		return rect{}
	}
	i, j := worker/g.cols, worker%g.cols
	r0, r1 := bounds(ceil(m, panel), g.rows, i)
	c0, c1 := bounds(ceil(n, columnUnit), g.cols, j)
	return rect{r0 * panel, min(r1*panel, m), c0 * columnUnit, min(c1*columnUnit, n)}
}

// largest returns the size of the largest rectangle, before the result's edge
// cuts it.
func (g grid) largest(m, n int) (rows, cols int) {
	return ceil(ceil(m, panel), g.rows) * panel, ceil(ceil(n, columnUnit), g.cols) * columnUnit
}

// bounds returns part i of n things dealt out evenly to parts.
func bounds(n, parts, i int) (lo, hi int) { return n * i / parts, n * (i + 1) / parts }

func ceil(a, b int) int { return (a + b - 1) / b }

func roundUp(a, b int) int { return ceil(a, b) * b }
