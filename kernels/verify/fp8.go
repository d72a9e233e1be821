package verify

import (
	"math"

	"ofpeak/kernels"
)

// fp8 is products of bfloat16 operands whose factors are rounded to 8 bits. The scales are powers of two, so that every device rounds to the same values, and what is left is
// the error of the sums: a rounding the wrong way is off by a sixteenth of a term.
func (l *list) fp8() {
	l.t = kernels.FP8
	const t = kernels.BF16
	var dense kernels.Layout
	add := func(m matmul, build func(e *env), name string, what any) {
		l.append(kernels.OpLinear, dense, func(e *env) {
			e.math = kernels.FP8
			build(e)
		}, "%s %v %v", name, m, what)
	}
	for _, m := range []matmul{{1, 1, 1, 0}, {2, 3, 5, 1}, {17, 33, 65, 3}, {64, 96, 128, 0}, {130, 20, 8, 0}, {3, 130, 300, 1}, {132, 144, 48, 0}, {80, 16, 32, 8}} {
		for _, f := range epilogues {
			add(m, func(e *env) { linearForward(e, t, dense, m, f.bias != "", f.act != "", f.residual) }, "forward", f)
		}
		for _, on := range []bool{false, true} {
			add(m, func(e *env) { linearBackwardInput(e, t, dense, m, on) }, "backward input gelu", on)
			add(m, func(e *env) { linearBackwardWeight(e, t, dense, m, on) }, "backward weight bias", on)
		}
	}
	for _, size := range []float64{0, 0x1p-120, 0x1p-60, 0x1p60, math.Inf(1), math.NaN()} {
		m := matmul{9, 32, 48, 0}
		add(m, func(e *env) { extremes(e, m, size) }, "extremes", size)
	}
}

// extremes are the three products where the activations and gradients have a size, or each one element that is not finite, and the weights the inverse.
func extremes(e *env, m matmul, size float64) {
	const t = kernels.BF16
	sized := func(n int, size float64) []float64 {
		v := e.factors(n)
		if math.IsNaN(size) || math.IsInf(size, 0) {
			v[n/2] = size
			return v
		}
		for i := range v {
			v[i] *= size
		}
		return v
	}
	inverse := 1.0
	if size > 0 && !math.IsInf(size, 0) {
		inverse = 1 / size
	}
	x, dout := e.in("x", t, sized(m.n*m.c, size), m.n, m.c), e.in("dout", t, sized(m.n*m.oc, size), m.n, m.oc)
	w := kernels.Weight{OC: m.oc, C: m.c, Math: e.math, Values: e.in("w", t, sized(m.oc*m.c, inverse), m.oc, m.c)}
	e.scale = math.Sqrt(float64(m.c))
	e.s.LinearForward(e.out("out", t, e.tolerance(t, m.c), m.n, m.oc), x, w, kernels.Epilogue{})
	e.scale = math.Sqrt(float64(m.n))
	dw := w
	dw.Values = e.sum("dw", kernels.F32, e.tolerance(kernels.F32, m.n), m.oc, m.c)
	e.s.LinearBackwardWeight(dw, kernels.Tensor{}, dout, x)
	e.scale = math.Sqrt(float64(m.oc))
	e.s.LinearBackwardInput(e.out("dx", t, e.tolerance(t, m.oc), m.n, m.c), dout, w, kernels.Epilogue{})
}

// hardTo8 is n values to round to 8 bits: of all sizes from a tensor's largest to what vanishes beside it, a third of them midway between two values of either format.
func (e *env) hardTo8(n int) []float64 {
	v := e.normal(n, 0, 1)
	for i, x := range v {
		switch e.random.IntN(6) {
		case 0:
			v[i] = math.Ldexp(x, -e.random.IntN(24))
		case 1, 2: // an odd number of 5 or 4 bits
			bits := 4 + e.random.IntN(2)
			odd := float64(1 + 2*e.random.IntN(1<<(bits-1)))
			v[i] = math.Copysign(math.Ldexp(odd, -bits-e.random.IntN(3)), x)
		}
	}
	return v
}
