package ref

import (
	"runtime"
	"sync"
)

// each calls f for 0 to n-1 from as many goroutines as run at once. Calls are independent, so results do not depend on how they are spread.
func each(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if workers == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

// dot is Σ x·y. Four partial sums hide the latency of the addition.
func dot(x, y []float64) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for y = y[:len(x)]; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return s0 + s1 + (s2 + s3)
}

// axpy is y += a·x.
func axpy(y []float64, a float64, x []float64) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += a * v
	}
}

// row is row i of a matrix of c columns.
func row(m []float64, i, c int) []float64 { return m[i*c : (i+1)*c] }
