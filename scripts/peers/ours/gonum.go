package main

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// gonumPeer multiplies with gonum's own BLAS, which starts as many goroutines as GOMAXPROCS allows.
type gonumPeer struct{}

func (gonumPeer) name() string { return "gonum" }

func (gonumPeer) prepare(op, text, dtype string) (work, error) {
	s, err := parseShape(op, text)
	if err != nil {
		return nil, err
	}
	if dtype != "fp32" {
		return nil, fmt.Errorf("type %s here", dtype)
	}
	w := &sgemm{shape: s, a: operand(0, s.m*s.k, same), b: operand(1, s.k*s.n, same), c: make([]float32, s.m*s.n)}
	return w, w.step()
}

// sgemm is one product of gonum's BLAS.
type sgemm struct {
	shape
	a, b, c []float32
}

func (w *sgemm) step() error {
	strideA, strideB := w.strides()
	gonum.Implementation{}.Sgemm(transpose(w.transA), transpose(w.transB), w.m, w.n, w.k, 1, w.a, strideA, w.b, strideB, 0, w.c, w.n)
	return nil
}

func transpose(yes bool) blas.Transpose {
	if yes {
		return blas.Trans
	}
	return blas.NoTrans
}

func (w *sgemm) sample(count int) []float64 { return pick(w.c, count, same) }

func (w *sgemm) close() {}
