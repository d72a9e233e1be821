package cuda

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// Multiplies8 tells whether the library multiplies 8-bit floats on this device, which units of compute capability 8.9 and later do.
func (d *Device) Multiplies8() bool { return d.products != nil && 10*d.info.Major+d.info.Minor >= 89 }

// factor8 is a factor of a product of 8-bit floats, and what it is rounded to. The library takes factors whose terms of a sum lie side by side; of others rows is how many rows
// they have, and they are transposed.
type factor8 struct {
	kernels.Tensor
	as   kernels.DType
	rows int
}

func (f factor8) bytes() int { return lines(f.Size()) }

// multiply8 enqueues a product of factors that it first rounds to 8 bits, in the workspace. It tells whether it did: if not, because the library has no kernel for it, nothing is
// enqueued.
func (s *stream) multiply8(p driver.Product, a, b factor8) bool {
	const tops, scales, apart = 0, 16, 16 // two largest magnitudes, and two scales that take a factor back, on 16 bytes each
	work, err := s.workspace(productMemory + line + a.bytes() + b.bytes())
	if err != nil {
		s.fail(fmt.Errorf("cuda: workspace of products: %w", err))
		return true
	}
	at := work + productMemory
	p.Work, p.WorkSize = work, productMemory
	p.ScaleA, p.ScaleB, p.A = at+scales, at+scales+apart, at+line
	p.B, p.TransB = p.A+driver.Ptr(a.bytes()), true
	p.In, p.InB = driverType(a.as), driverType(b.as)
	if err := s.dev.products.Supports(p); errors.Is(err, driver.ErrNotSupported) {
		return false
	} else if err != nil {
		s.fail(fmt.Errorf("cuda: product of 8-bit floats: %w", err))
		return true
	}
	s.fail(s.s.Memset32(at+tops, 0, 2))
	s.quantize(p.A, p.ScaleA, at+tops, a)
	s.quantize(p.B, p.ScaleB, at+tops+4, b)
	return s.enqueue(p)
}

// quantize writes 8-bit floats, and the scale that takes them back; top is zero.
func (s *stream) quantize(out, inverse, top driver.Ptr, f factor8) {
	s.largest(top, f.Tensor)
	if f.rows > 0 {
		cols := f.Size() / f.rows
		s.launch("float8", "fp8_transpose_"+f.as.String(), shape{gridX: (cols + 31) / 32, gridY: (f.rows + 127) / 128, threads: 32, threadsY: 8}, out, inverse, f.Tensor, top, f.rows, cols)
		return
	}
	name, over := s.packs("fp8_quantize_"+f.as.String(), f.Tensor)
	s.launch("float8", name, over, out, inverse, f.Tensor, top, f.Size())
}

// float8Forward lets the library do LinearForward on 8-bit floats. GELU is its epilogue where it has one for them.
func (s *stream) float8Forward(out, x kernels.Tensor, w kernels.Weight, e kernels.Epilogue) bool {
	a, b := factor8{x, kernels.E4M3, 0}, factor8{w.Values, kernels.E4M3, 0}
	p := driver.Product{M: x.Rows(), N: w.OC, K: w.C, C: address(out), Addend: address(e.Residual), Bias: address(e.Bias), Out: productType(out)}
	if e.Act != kernels.GELU {
		return s.multiply8(p, a, b)
	}
	fused := p
	fused.Epilogue, fused.Aux = driver.GELU, address(e.Aux)
	if e.Residual.None() && s.multiply8(fused, a, b) {
		return true
	}
	p.C, p.Addend = address(e.Aux), 0
	if !s.multiply8(p, a, b) {
		return false
	}
	s.gelu(out, e.Aux, e.Residual)
	return true
}

// float8Input lets the library do LinearBackwardInput on 8-bit floats.
func (s *stream) float8Input(dx, dout kernels.Tensor, w kernels.Weight, e kernels.Epilogue) bool {
	a, b := factor8{dout, kernels.E5M2, 0}, factor8{w.Values, kernels.E4M3, w.OC}
	p := driver.Product{M: dout.Rows(), N: w.C, K: w.OC, C: address(dx), Out: productType(dx)}
	if e.Act != kernels.GELU {
		return s.multiply8(p, a, b)
	}
	fused := p
	fused.Epilogue, fused.Aux = driver.GELUGradient, address(e.Aux)
	if s.multiply8(fused, a, b) {
		return true
	}
	if !s.multiply8(p, a, b) {
		return false
	}
	s.geluGradient(dx, e.Aux)
	return true
}

// float8Weight lets the library do LinearBackwardWeight on 8-bit floats, but for the gradient of the bias.
func (s *stream) float8Weight(dw kernels.Weight, dout, x kernels.Tensor) bool {
	p := driver.Product{M: dw.OC, N: dw.C, K: x.Rows(), C: address(dw.Values), Addend: address(dw.Values), Out: productType(dw.Values)}
	return s.multiply8(p, factor8{dout, kernels.E5M2, x.Rows()}, factor8{x, kernels.E4M3, x.Rows()})
}
