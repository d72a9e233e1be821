package ptxsim

import (
	"fmt"
	"math"

	"ofpeak/kernels/cuda/driver"
)

// products implements driver.Products: it stands in for the library, to test those who call it. Its sums are float64.
type products struct{ context *context }

// Products is there if the configuration asks for it.
func (c *context) Products() (driver.Products, error) {
	defer c.leave()
	if err := c.enter("Products"); err != nil {
		return nil, err
	}
	if !c.driver.config.Products {
		return nil, fmt.Errorf("ptxsim: simulated GPUs run the kernels that ship: %w", driver.ErrNotSupported)
	}
	p := &products{c}
	c.live[p] = "library of products"
	return p, nil
}

func (p *products) Library() string { return "stand-in" }

func (p *products) Close() error {
	p.context.driver.mu.Lock()
	defer p.context.leave()
	if p.context.live[p] == "" {
		return fmt.Errorf("ptxsim: products closed twice: %w", driver.ErrInvalidHandle)
	}
	delete(p.context.live, p)
	return nil
}

func (p *products) Multiply(on driver.Stream, q driver.Product) error {
	defer p.context.leave()
	s, ok := on.(*stream)
	if !ok || s.context != p.context {
		p.context.driver.mu.Lock()
		return fmt.Errorf("ptxsim: Multiply: %w", driver.ErrInvalidHandle)
	}
	if err := s.enter("Multiply"); err != nil {
		return err
	}
	if err := p.refused(q); err != nil {
		return err
	}
	run := func() error {
		if err := multiply(p.context, q); err != nil {
			return fmt.Errorf("ptxsim: Multiply: %w: %w", driver.ErrIllegalAddress, err)
		}
		return nil
	}
	s.issue(func(on *stream) { on.enqueue(task{run: run}) })
	return nil
}

func (p *products) Supports(q driver.Product) error {
	p.context.driver.mu.Lock()
	defer p.context.leave()
	return p.refused(q)
}

// refused is why cuBLASLt may have no kernel for a product: its auxiliary matrices have rows of a multiple of 8, and for 8-bit floats see driver.Product. Of those ours
// leaves GELU to the caller.
func (p *products) refused(q driver.Product) error {
	eight := func(t driver.Type) bool { return t == driver.E4M3 || t == driver.E5M2 }
	aligned := true
	for _, n := range []uint64{uint64(q.M), uint64(q.N), uint64(q.K), uint64(q.A), uint64(q.B), uint64(q.C)} {
		aligned = aligned && n%16 == 0
	}
	switch {
	case q.Epilogue != driver.NoEpilogue && q.N%8 != 0:
		return fmt.Errorf("ptxsim: GELU over %d columns: %w", q.N, driver.ErrNotSupported)
	case !eight(q.In) && !eight(q.InB):
		if q.In == q.InB {
			return nil
		}
	case eight(q.In) && eight(q.InB) && (q.In == driver.E4M3 || q.InB == driver.E4M3) && !q.TransA && q.TransB && aligned &&
		q.ScaleA != 0 && q.ScaleB != 0 && q.Epilogue == driver.NoEpilogue && p.context.driver.config.Capability >= 89:
		return nil
	}
	return fmt.Errorf("ptxsim: factors of types %d and %d: %w", q.In, q.InB, driver.ErrNotSupported)
}

func multiply(c *context, q driver.Product) error {
	m := matrices{context: c}
	a, b := m.read(q.A, q.M*q.K, q.In), m.read(q.B, q.K*q.N, q.InB)
	if q.TF32 {
		toTF32(a)
		toTF32(b)
	}
	scale := 1.0
	for _, s := range append(m.read(q.ScaleA, 1, driver.Float32), m.read(q.ScaleB, 1, driver.Float32)...) {
		scale *= s
	}
	addend, bias := m.read(q.Addend, q.M*q.N, q.Out), m.read(q.Bias, q.N, q.Out)
	var aux []float64
	if q.Epilogue == driver.GELUGradient {
		aux = m.read(q.Aux, q.M*q.N, q.Out)
	}
	if m.err != nil {
		return m.err
	}
	out, inputs := make([]float64, q.M*q.N), make([]float64, q.M*q.N)
	for i := range out {
		row, col := i/q.N, i%q.N
		v := scale * dot(q, a, b, row, col)
		if addend != nil {
			v += addend[i]
		}
		if bias != nil {
			v += bias[col]
		}
		inputs[i] = v
		switch q.Epilogue {
		case driver.GELU:
			v, _ = gelu(v)
		case driver.GELUGradient:
			_, slope := gelu(aux[i])
			v *= slope
		}
		out[i] = v
	}
	if q.Epilogue == driver.GELU {
		m.write(q.Aux, inputs, q.Out)
	}
	m.write(q.C, out, q.Out)
	return m.err
}

// toTF32 rounds factors as tensor cores do.
func toTF32(v []float64) {
	for i, x := range v {
		v[i] = float64(math.Float32frombits((math.Float32bits(float32(x)) + 1<<12) &^ (1<<13 - 1)))
	}
}

// dot is one element of op(A)·op(B).
func dot(q driver.Product, a, b []float64, row, col int) (sum float64) {
	i, di, j, dj := row*q.K, 1, col, q.N
	if q.TransA {
		i, di = row, q.M
	}
	if q.TransB {
		j, dj = col*q.K, 1
	}
	for range q.K {
		sum += a[i] * b[j]
		i, j = i+di, j+dj
	}
	return sum
}

// gelu and its derivative, in the tanh form.
func gelu(x float64) (v, slope float64) {
	const c = 0.044715
	r := math.Sqrt(2 / math.Pi)
	t := math.Tanh(r * (x + c*x*x*x))
	return x / 2 * (1 + t), (1+t)/2 + x/2*(1-t*t)*r*(1+3*c*x*x)
}

// matrices reads and writes device memory as numbers, and keeps the first error.
type matrices struct {
	context *context
	err     error
}

func (m *matrices) read(at driver.Ptr, n int, t driver.Type) []float64 {
	if at == 0 || m.err != nil {
		return nil
	}
	raw := make([]byte, n*t.Size())
	m.err = m.context.memory.Read(raw, uint64(at))
	return decode(raw, t)
}

func (m *matrices) write(at driver.Ptr, v []float64, t driver.Type) {
	if m.err == nil {
		m.err = m.context.memory.Write(uint64(at), encode(v, t))
	}
}
