package drivertest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// products of every transpose, type and epilogue, where there is a library.
func products(t *testing.T, d driver.Driver) {
	r := newRig(t, d, 0)
	defer r.close()
	library, err := r.ctx.Products()
	if errors.Is(err, driver.ErrNotSupported) {
		t.Log(err)
		return
	}
	check(t, err)
	if library.Library() == "" {
		t.Error("the library has no name")
	}
	const m, n, k = 5, 16, 9
	for _, types := range []struct {
		in, out driver.Type
		tf32    bool
	}{{driver.Float32, driver.Float32, false}, {driver.Float32, driver.Float32, true}, {driver.Float16, driver.Float16, false}, {driver.BFloat16, driver.BFloat16, false}, {driver.BFloat16, driver.Float32, false}} {
		for i := range 4 * 3 * 4 {
			p := driver.Product{M: m, N: n, K: k, TransA: i&1 > 0, TransB: i&2 > 0, In: types.in, InB: types.in, Out: types.out, TF32: types.tf32, Epilogue: driver.Epilogue(i / 4 % 3)}
			bias, addend := i/12&1 > 0, i/12&2 > 0
			if p.Epilogue == driver.GELUGradient && bias || p.In != p.Out && p.Epilogue != driver.NoEpilogue {
				continue // nothing asks for these
			}
			o := operands{rig: r, random: rand.New(rand.NewPCG(uint64(i), 5))}
			if err := o.multiply(library, p, bias, addend); err != nil {
				t.Errorf("%+v bias=%v addend=%v: %v", p, bias, addend, err)
			}
		}
	}
	products8(r, library, must(d.Device(0))(t))
	check(t, library.Close())
	want(t, "library closed twice", library.Close(), driver.ErrInvalidHandle)
}

// products8 are those of 8-bit floats, where the device has them.
func products8(r *rig, library driver.Products, device driver.DeviceInfo) {
	const e4m3, e5m2 = driver.E4M3, driver.E5M2
	right := driver.Product{M: 16, N: 48, K: 32, TransB: true, In: e4m3, InB: e4m3, Out: driver.BFloat16}
	for name, c := range map[string]struct {
		change       func(p *driver.Product)
		bias, addend bool
		refused      bool
	}{
		"e4m3":              {},
		"e4m3, bias":        {bias: true},
		"e5m2 by e4m3":      {change: func(p *driver.Product) { p.In = e5m2 }},
		"e4m3 by e5m2":      {change: func(p *driver.Product) { p.InB, p.Out = e5m2, driver.Float32 }, addend: true},
		"two e5m2":          {change: func(p *driver.Product) { p.In, p.InB = e5m2, e5m2 }, refused: true},
		"another transpose": {change: func(p *driver.Product) { p.TransA = true }, refused: true},
		"no transpose":      {change: func(p *driver.Product) { p.TransB = false }, refused: true},
		"odd depth":         {change: func(p *driver.Product) { p.K = 24 }, refused: true},
		"bf16 by e4m3":      {change: func(p *driver.Product) { p.In = driver.BFloat16 }, refused: true},
	} {
		p := right
		if c.change != nil {
			c.change(&p)
		}
		o := operands{rig: r, random: rand.New(rand.NewPCG(7, 5))}
		err := o.multiply(library, p, c.bias, c.addend)
		switch {
		case c.refused || 10*device.Major+device.Minor < 89:
			want(r.t, name, err, driver.ErrNotSupported)
		case err != nil:
			r.t.Errorf("%s: %v", name, err)
		}
	}
}

// operands of one product, on the device and here.
type operands struct {
	*rig
	random *rand.Rand
	taken  []driver.Ptr
}

func (o *operands) multiply(library driver.Products, p driver.Product, bias, addend bool) error {
	defer o.free()
	var a, b, c, biases, aux []float64
	p.A, a = o.matrix(p.M*p.K, p.In)
	p.B, b = o.matrix(p.K*p.N, p.InB)
	scale := 1.0
	if p.In.Size() == 1 {
		var scales [2][]float64
		p.ScaleA, scales[0] = o.matrix(1, driver.Float32)
		p.ScaleB, scales[1] = o.matrix(1, driver.Float32)
		scale = scales[0][0] * scales[1][0]
	}
	p.C, c = o.matrix(p.M*p.N, p.Out)
	if bias {
		p.Bias, biases = o.matrix(p.N, p.Out)
	}
	if addend {
		p.Addend = p.C
	}
	if p.Epilogue != driver.NoEpilogue {
		p.Aux, aux = o.matrix(p.M*p.N, p.Out)
	}
	p.WorkSize = 1 << 20
	p.Work = must(o.ctx.Alloc(p.WorkSize))(o.t)
	o.taken = append(o.taken, p.Work)
	supported := library.Supports(p)
	if err := library.Multiply(o.stream, p); err != nil {
		want(o.t, "a product that is refused is supported", supported, driver.ErrNotSupported)
		return err
	}
	check(o.t, supported)
	gotC, gotAux := o.read(p.C, p.M*p.N, p.Out), []float64(nil)
	if aux != nil {
		gotAux = o.read(p.Aux, p.M*p.N, p.Out)
	}
	tolerance := map[driver.Type]float64{driver.Float32: 1e-5, driver.Float16: 1e-3, driver.BFloat16: 1e-2}[p.Out]
	if p.TF32 {
		tolerance = 1e-3
	}
	for i := range gotC {
		row, col := i/p.N, i%p.N
		v := 0.0
		for l := range p.K {
			v += at(a, row, l, p.M, p.K, p.TransA) * at(b, l, col, p.K, p.N, p.TransB)
		}
		v *= scale
		if addend {
			v += c[i]
		}
		if bias {
			v += biases[col]
		}
		switch p.Epilogue {
		case driver.GELU:
			if e := math.Abs(gotAux[i] - v); e > tolerance*8 {
				return fmt.Errorf("GELU's input %d is off by %g", i, e)
			}
			v = gelu(v)
		case driver.GELUGradient:
			const h = 1e-5
			v *= (gelu(aux[i]+h) - gelu(aux[i]-h)) / (2 * h)
		}
		if e := math.Abs(gotC[i] - v); !(e <= tolerance*8) {
			return fmt.Errorf("element %d is %g, want %g", i, gotC[i], v)
		}
	}
	return nil
}

// at is an element of a matrix of so many rows and columns, which may be stored transposed.
func at(m []float64, row, col, rows, cols int, transposed bool) float64 {
	if transposed {
		return m[col*rows+row]
	}
	return m[row*cols+col]
}

func gelu(x float64) float64 {
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// matrix is random numbers, rounded to their type.
func (o *operands) matrix(n int, t driver.Type) (driver.Ptr, []float64) {
	host := must(o.ctx.AllocHost(n * t.Size()))(o.t)
	v := make([]float64, n)
	for i := range v {
		x := float32(o.random.NormFloat64())
		switch t {
		case driver.Float32:
			binary.LittleEndian.PutUint32(host[4*i:], math.Float32bits(x))
		case driver.Float16:
			binary.LittleEndian.PutUint16(host[2*i:], kernels.F16FromF32(x))
		case driver.BFloat16:
			binary.LittleEndian.PutUint16(host[2*i:], kernels.BF16FromF32(x))
		case driver.E4M3:
			host[i] = kernels.E4M3FromF32(x)
		case driver.E5M2:
			host[i] = kernels.E5M2FromF32(x)
		}
		v[i] = number(host, i, t)
	}
	p := must(o.ctx.Alloc(int64(len(host))))(o.t)
	o.taken = append(o.taken, p)
	check(o.t, o.stream.CopyToDevice(p, host))
	check(o.t, o.stream.Synchronize())
	check(o.t, o.ctx.FreeHost(host))
	return p, v
}

func number(host []byte, i int, t driver.Type) float64 {
	switch t {
	case driver.Float16:
		return float64(kernels.F32FromF16(binary.LittleEndian.Uint16(host[2*i:])))
	case driver.BFloat16:
		return float64(kernels.F32FromBF16(binary.LittleEndian.Uint16(host[2*i:])))
	case driver.E4M3:
		return float64(kernels.F32FromE4M3(host[i]))
	case driver.E5M2:
		return float64(kernels.F32FromE5M2(host[i]))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(host[4*i:])))
}

func (o *operands) read(p driver.Ptr, n int, t driver.Type) []float64 {
	host := must(o.ctx.AllocHost(n * t.Size()))(o.t)
	check(o.t, o.stream.CopyToHost(host, p))
	check(o.t, o.stream.Synchronize())
	v := make([]float64, n)
	for i := range v {
		v[i] = number(host, i, t)
	}
	check(o.t, o.ctx.FreeHost(host))
	return v
}

func (o *operands) free() {
	for _, p := range o.taken {
		check(o.t, o.ctx.Free(p))
	}
}
