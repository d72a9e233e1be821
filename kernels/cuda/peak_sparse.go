package cuda

import (
	"errors"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// sparseProducts measures large products with a 2:4 weight in the library, as products does dense ones.
func (m *meter) sparseProducts() ([]Rate, error) {
	if m.dev.sparse == nil {
		return nil, nil
	}
	return ratesOf(m.sparseProduct, kernels.F16, kernels.BF16)
}

// sparseProduct measures out = in·weightᵀ. Of each four values of the weight the last two are zero.
func (m *meter) sparseProduct(t kernels.DType) (Rate, error) {
	rate := Rate{Type: t, Sparse24: true, Variant: sparseLibrary}
	defer m.free()
	edge, err := m.edge()
	if err != nil {
		return rate, err
	}
	pattern := m.eighths(min(edge*edge, 1<<17) - 4) // whole groups, and no row is like the next
	pruned := make([]float32, len(pattern))
	for i, v := range pattern {
		if i%4 < 2 {
			pruned[i] = v
		}
	}
	p := driver.SparseProduct{M: edge, N: edge, K: edge, Type: driverType(t)}
	compressed, work, err := m.dev.sparse.Sizes(p)
	if err != nil {
		return rate, err
	}
	var memory [4]kernels.Tensor // the weight in full, the input, the result, the compressed weight
	for i, n := range []int{edge * edge, edge * edge, edge * edge, (int(compressed) + 1) / 2} {
		if memory[i], err = m.alloc(t, n); err != nil {
			return rate, err
		}
	}
	if err := errors.Join(m.fill(memory[0], pruned), m.fill(memory[1], pattern)); err != nil {
		return rate, err
	}
	p.In, p.Out, p.Weight = address(memory[1]), address(memory[2]), address(memory[3])
	if p.Work, err = m.s.workspace(int(work)); err != nil {
		return rate, err
	}
	if err := m.dev.sparse.Compress(m.s.s, p, address(memory[0])); err != nil {
		return rate, err
	}
	if err := m.dev.sparse.Multiply(m.s.s, p); err != nil {
		return rate, err
	}
	if err := m.checkProduct(memory[2], edge, pattern, pruned); err != nil {
		return rate, err
	}
	seconds, err := m.shortest(func() { m.s.fail(m.dev.sparse.Multiply(m.s.s, p)) })
	rate.TOPS = perSecond(2*float64(edge)*float64(edge)*float64(edge), seconds)
	return rate, err
}
