package cuda

import (
	"errors"
	"fmt"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// edge is that of the square matrices of a large product: 1.1 TFLOP, which takes one of the fastest GPUs a millisecond.
func (m *meter) edge() (int, error) {
	if m.dev.info.Simulated {
		return 32, nil
	}
	free, _, err := m.dev.ctx.MemInfo()
	edge := 8192
	for edge > 1024 && int64(3*4*edge*edge) > free/2 {
		edge /= 2
	}
	return edge, err
}

// products measures large products in the library, of each type that it has a kernel for; none where it is not installed. Some units of later GPUs than the instructions of
// our own kernels (Hopper's wgmma) are reached by it alone.
func (m *meter) products() ([]Rate, error) {
	if m.dev.products == nil {
		return nil, nil
	}
	return ratesOf(m.product, kernels.F32, kernels.TF32, kernels.F16, kernels.BF16, kernels.FP8)
}

// ratesOf measures each of the types that a library has a kernel for.
func ratesOf(measure func(kernels.DType) (Rate, error), types ...kernels.DType) ([]Rate, error) {
	var rates []Rate
	for _, t := range types {
		rate, err := measure(t)
		if errors.Is(err, driver.ErrNotSupported) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t, err)
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// product measures C = A·B with B stored transposed, as weights are.
func (m *meter) product(t kernels.DType) (Rate, error) {
	rate := Rate{Type: t, Variant: library}
	defer m.free()
	edge, err := m.edge()
	if err != nil {
		return rate, err
	}
	stored, out := t, t
	switch t {
	case kernels.TF32:
		stored, out = kernels.F32, kernels.F32
	case kernels.FP8:
		stored, out = kernels.E4M3, kernels.BF16
	}
	// Its length has no factor in common with a row's, so that rows differ.
	pattern := m.eighths(min(edge*edge, 1<<17) - 1)
	var abc [3]kernels.Tensor
	for i, t := range []kernels.DType{stored, stored, out} {
		if abc[i], err = m.alloc(t, edge*edge); err != nil {
			return rate, err
		}
		if i < 2 {
			if err := m.fill(abc[i], pattern); err != nil {
				return rate, err
			}
		}
	}
	p := driver.Product{
		M: edge, N: edge, K: edge, A: address(abc[0]), B: address(abc[1]), TransB: true, In: productType(abc[0]), InB: productType(abc[1]), TF32: t == kernels.TF32,
		C: address(abc[2]), Out: productType(abc[2]),
	}
	if t == kernels.FP8 {
		one, err := m.alloc(kernels.F32, 1)
		if err != nil {
			return rate, err
		}
		m.s.Fill(one, 1)
		p.ScaleA, p.ScaleB = address(one), address(one)
	}
	if p.Work, err = m.s.workspace(productMemory); err != nil {
		return rate, err
	}
	p.WorkSize = int64(m.s.workSize)
	if err := m.dev.products.Multiply(m.s.s, p); err != nil {
		return rate, err
	}
	if err := m.checkProduct(abc[2], edge, pattern, pattern); err != nil {
		return rate, err
	}
	seconds, err := m.shortest(func() { m.s.fail(m.dev.products.Multiply(m.s.s, p)) })
	rate.TOPS = perSecond(2*float64(edge)*float64(edge)*float64(edge), seconds)
	return rate, err
}

// eighths are multiples of 1/8 between -2 and 2: of their products, every sum of a row of 8192 is exact in float32, in whatever order.
func (m *meter) eighths(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(m.random.IntN(33)-16) / 8
	}
	return v
}

// fill repeats a pattern over a tensor.
func (m *meter) fill(t kernels.Tensor, pattern []float32) error {
	first := min(len(pattern), t.Size())
	m.s.Upload(t.At(0, first), tensor.New(tensor.WithShape(first), tensor.WithBacking(pattern[:first])))
	at, size := address(t), t.DType().Size()
	for done := first; done < t.Size(); {
		n := min(done, t.Size()-done)
		m.s.fail(m.s.s.Copy(at+driver.Ptr(done*size), at, int64(n*size)))
		done += n
	}
	return m.s.Sync()
}

// checkProduct holds some rows of C = A·Bᵀ, the last among them, to what the patterns of A and B give, rounded once to C's type.
func (m *meter) checkProduct(c kernels.Tensor, edge int, a, b []float32) error {
	at := func(pattern []float32, row, col int) float64 { return float64(pattern[(row*edge+col)%len(pattern)]) }
	got := make([]float64, edge)
	for row := edge - 1; row >= 0; row -= max(1, edge/5) {
		if err := m.s.Download(tensor.New(tensor.WithShape(edge), tensor.WithBacking(got)), c.At(row*edge, edge)); err != nil {
			return err
		}
		for col := 0; col < edge; col += max(1, edge/64) {
			sum := 0.0
			for k := range edge {
				sum += at(a, row, k) * at(b, col, k)
			}
			if want := asStored(c.DType(), sum); got[col] != want {
				return fmt.Errorf("element %d,%d is %g, not %g", row, col, got[col], want)
			}
		}
	}
	return nil
}

// asStored rounds a value to nearest even.
func asStored(t kernels.DType, v float64) float64 {
	switch t {
	case kernels.F16:
		return float64(kernels.F32FromF16(kernels.F16FromF32(float32(v))))
	case kernels.BF16:
		return float64(kernels.F32FromBF16(kernels.BF16FromF32(float32(v))))
	}
	return v
}
