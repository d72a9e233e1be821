package gemm

import "testing"

// Each element of the result belongs to exactly one worker, whose rectangle is
// no larger than the split says.
func TestGridCovers(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {7, 300}, {8, 16}, {64, 64}, {129, 47}, {1000, 3}, {70, 70}} {
		for workers := 1; workers <= 9; workers++ {
			m, n := size[0], size[1]
			g := newGrid(m, n, panel, columnUnit, workers)
			rows, cols := g.largest()
			seen := make([]int, m*n)
			for w := range workers {
				r := g.rect(w)
				if r.empty() {
					continue
				}
				if r.row1-r.row0 > rows || r.col1-r.col0 > cols {
					t.Errorf("%v on %d: %+v is larger than %d by %d", size, workers, r, rows, cols)
				}
				for i := r.row0; i < r.row1; i++ {
					for j := r.col0; j < r.col1; j++ {
						seen[i*n+j]++
					}
				}
			}
			for i, count := range seen {
				if count != 1 {
					t.Fatalf("%v on %d: element %d belongs to %d workers", size, workers, i, count)
				}
			}
		}
	}
}

func TestGridShape(t *testing.T) {
	for _, tc := range []struct {
		m, n, workers int
		rows, cols    int
	}{
		{1024, 16, 2, 2, 1}, // tall: by rows
		{8, 4096, 2, 1, 2},  // wide: by columns
		{1024, 1024, 4, 2, 2},
	} {
		if g := newGrid(tc.m, tc.n, panel, columnUnit, tc.workers); g.rows != tc.rows || g.cols != tc.cols {
			t.Errorf("%dx%d on %d workers: %d by %d, want %d by %d", tc.m, tc.n, tc.workers, g.rows, g.cols, tc.rows, tc.cols)
		}
	}
}

func TestEvenly(t *testing.T) {
	for _, tc := range []struct{ n, limit, unit, want int }{
		{0, 320, 8, 8}, {1, 320, 8, 8}, {320, 320, 8, 320}, {321, 320, 8, 168}, {512, 320, 8, 256}, {1024, 576, 48, 528},
	} {
		if got := evenly(tc.n, tc.limit, tc.unit); got != tc.want {
			t.Errorf("evenly(%d, %d, %d) = %d, want %d", tc.n, tc.limit, tc.unit, got, tc.want)
		}
	}
}
