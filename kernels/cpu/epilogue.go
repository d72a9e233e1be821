package cpu

import (
	"sync"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/vec"
)

// epilogue is what LinearForward does to a run of a row of its result while it is in cache: bias, activation, residual. It is a
// gemm.Epilogue.
type epilogue struct {
	set       *vec.Set
	width     int // columns of the result
	act       kernels.Act
	bias      values
	aux       values
	residual  values
	biasSpace []float32
}

func (e *epilogue) open(o kernels.Epilogue, width int, set *vec.Set) {
	*e = epilogue{
		set: set, width: width, act: o.Act, bias: valuesOf(o.Bias), aux: valuesOf(o.Aux), residual: valuesOf(o.Residual),
		biasSpace: e.biasSpace,
	}
	if !o.Bias.None() {
		if len(e.biasSpace) < width {
			e.biasSpace = aligned(width)
		}
		e.bias = values{t: kernels.F32, f32: e.bias.load(set, 0, width, e.biasSpace)}
	}
}

// used is e, or nil where it has nothing to do, which lets a product keep its sums in place.
func (e *epilogue) used() gemm.Epilogue {
	if e.bias.t == 0 && e.act == kernels.NoAct && e.residual.t == 0 {
		return nil
	}
	return e
}

// Row finishes acc, the results of a row from column col on.
func (e *epilogue) Row(row, col int, acc []float32) {
	n, at := len(acc), row*e.width+col
	if e.bias.t != 0 {
		e.set.Add(acc, acc, e.bias.f32[col:col+n])
	}
	if e.act == kernels.GELU {
		e.aux.store(e.set, at, acc)
		e.set.GELU(acc, acc)
	}
	if e.residual.t != 0 {
		buf := widened.Get().(*[block]float32)
		for ; len(acc) > 0; at, acc = at+block, acc[min(block, len(acc)):] {
			run := acc[:min(block, len(acc))]
			e.set.Add(run, run, e.residual.load(e.set, at, len(run), buf[:]))
		}
		widened.Put(buf)
	}
}

// activationSlope multiplies the results of LinearBackwardInput by GELU's derivative at aux. It is a gemm.Epilogue.
type activationSlope struct {
	aux   values
	width int
	set   *vec.Set
}

// Row finishes acc, the results of a row from column col on.
func (e *activationSlope) Row(row, col int, acc []float32) {
	buf := widened.Get().(*[block]float32)
	for at := row*e.width + col; len(acc) > 0; at, acc = at+block, acc[min(block, len(acc)):] {
		run := acc[:min(block, len(acc))]
		e.set.GELUGrad(run, run, e.aux.load(e.set, at, len(run), buf[:]))
	}
	widened.Put(buf)
}

// widened are the blocks that 16-bit operands are widened into by code that does not know which worker it runs on.
var widened = sync.Pool{New: func() any { return new([block]float32) }}
