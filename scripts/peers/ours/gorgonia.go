package main

import (
	"fmt"

	"gorgonia.org/tensor"

	"ofpeak/kernels/cpu/blas"
)

// gorgoniaPeer multiplies as Gorgonia does, over ofpeak's BLAS or over its own default.
type gorgoniaPeer struct{ over string }

// newGorgonia plugs a BLAS of so many threads into Gorgonia's tensors, or none for zero threads.
func newGorgonia(threads int) gorgoniaPeer {
	if threads == 0 {
		return gorgoniaPeer{"gorgonia-default"}
	}
	tensor.Use(blas.New(threads))
	return gorgoniaPeer{"gorgonia-ofpeak"}
}

func (p gorgoniaPeer) name() string { return p.over }

func (gorgoniaPeer) prepare(op, text, dtype string) (work, error) {
	s, err := parseShape(op, text)
	if err != nil {
		return nil, err
	}
	if dtype != "fp32" {
		return nil, fmt.Errorf("type %s here", dtype)
	}
	w := &matMul{out: make([]float32, s.m*s.n)}
	w.a, err = stored(operand(0, s.m*s.k, same), s.m, s.k, s.transA)
	if err != nil {
		return nil, err
	}
	w.b, err = stored(operand(1, s.k*s.n, same), s.k, s.n, s.transB)
	if err != nil {
		return nil, err
	}
	w.c = tensor.New(tensor.WithShape(s.m, s.n), tensor.WithBacking(w.out))
	return w, w.step()
}

// stored is a matrix of rows by cols, seen through its transpose if it is stored so.
func stored(values []float32, rows, cols int, transposed bool) (*tensor.Dense, error) {
	if !transposed {
		return tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(values)), nil
	}
	t := tensor.New(tensor.WithShape(cols, rows), tensor.WithBacking(values))
	return t, t.T()
}

// matMul is one product of Gorgonia's tensors.
type matMul struct {
	a, b, c *tensor.Dense
	out     []float32
}

func (w *matMul) step() error {
	_, err := w.a.MatMul(w.b, tensor.WithReuse(w.c))
	return err
}

func (w *matMul) sample(count int) []float64 { return pick(w.out, count, same) }

func (w *matMul) close() {}
