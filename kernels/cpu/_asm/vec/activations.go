package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func activations() {
	expSum()
	softmax()
	gelu()
	geluGrad()
}

func expSum() {
	function("expSum", "func(dst, x []float32, scale, shift float32) float32",
		"for i := range dst { dst[i] = exp(scale*x[i] - shift); sum += dst[i] }")
	dst, x, scale, shift := base("dst"), base("x"), scalar("scale"), scalar("shift")
	acc := accumulators(2, zero)
	loop(length("dst"), 2, func(a at) {
		v := a.load(x)
		VFMSUB213PS(shift, scale, v)
		e := exp(v)
		VADDPS(a.clear(e), acc[a.lane], acc[a.lane])
		a.store(e, dst)
	})
	result(0, reduce(VADDPS, acc))
	end()
}

// softmax needs the largest element before it can start on the exponentials: two passes over a row that stays in L1.
func softmax() {
	function("softmax", "func(x []float32, scale, top float32) (newTop, sum float32)",
		"newTop = max(top, scale*max(x)); for i := range x { x[i] = exp(scale*x[i] - newTop); sum += x[i] }")
	x, n, scale := base("x"), length("x"), scalar("scale")
	largest := accumulators(4, func() reg.VecVirtual { return register(constant(math.Inf(-1))) })
	none := copyOf(largest[0])
	namedLoop("max", n, 4, func(a at) {
		VMAXPS(a.fill(a.load(x), none), largest[a.lane], largest[a.lane])
	})
	shift := vec()
	VBROADCASTSS(reduce(VMAXPS, largest), shift)
	VMULPS(scale, shift, shift)
	VMAXPS(scalar("top"), shift, shift)
	result(0, shift.AsX())
	acc := accumulators(2, zero)
	namedLoop("exp", n, 2, func(a at) {
		v := a.load(x)
		VFMSUB213PS(shift, scale, v)
		e := exp(v)
		VADDPS(a.clear(e), acc[a.lane], acc[a.lane])
		a.store(e, x)
	})
	result(1, reduce(VADDPS, acc))
	end()
}

// exp is e^x in about one unit in the last place: x = n·ln2 + r, e^x = 2^n·e^r, with the Taylor polynomial of degree 7 for
// |r| ≤ ln2/2, whose remainder is below 6e-9.
func exp(x Op) reg.VecVirtual {
	v := bounded(x, -105, 89) // e^-105 rounds to 0, e^89 to infinity
	n := times(v, constant(math.Log2E))
	if wide() {
		VRNDSCALEPS(Imm(8), n, n)
	} else {
		VROUNDPS(Imm(8), n, n)
	}
	// ln2 in two parts: n times the first is exact.
	const high = 0x1.62e4p-1
	VFNMADD231PS(constant(high), n, v)
	VFNMADD231PS(constant(math.Ln2-high), n, v)
	p := register(constant(1.0 / 5040))
	for _, c := range []float64{1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1, 1} {
		VFMADD213PS(constant(c), v, p)
	}
	if wide() {
		VSCALEFPS(n, p, p)
		return p
	}
	// 2^n as a product of two, since it may be outside the range of normal numbers.
	half := vec()
	VCVTPS2DQ(n, n)
	VPSRAD(Imm(1), n, half)
	VPSUBD(half, n, n)
	for _, part := range []reg.VecVirtual{half, n} {
		VPADDD(words(127), part, part)
		VPSLLD(Imm(23), part, part)
		VMULPS(part, p, p)
	}
	return p
}

// bounded is x within [low, high]; NaN stays.
func bounded(x Op, low, high float64) reg.VecVirtual {
	v, bound := vec(), register(constant(high))
	VMINPS(x, bound, v)
	bound = register(constant(low))
	VMAXPS(v, bound, v)
	return v
}

// The tanh form of GELU is x·σ(2u), u = √(2/π)·(x + 0.044715·x³). At ±geluBound σ is 0 or 1; at ±slopeBound the derivative is,
// and e^(-2u) is still finite.
const (
	geluBound  = 12
	slopeBound = 10
)

var (
	geluLinear = 2 * math.Sqrt(2/math.Pi)
	geluCubic  = geluLinear * 0.044715
)

// sigmoid is σ(2u) and e^(-2u) at x, and x².
func sigmoid(x Op) (s, e, q reg.VecVirtual) {
	q = times(x, x)
	u := register(constant(-geluLinear))
	VFNMADD231PS(constant(geluCubic), q, u)
	e = exp(times(u, x))
	one := register(constant(1))
	return over(one, plus(e, one)), e, q
}

func gelu() {
	function("gelu", "func(dst, x []float32)", "for i := range dst { s, _ := sigmoid(clamp(x[i], geluBound)); dst[i] = x[i] * s }")
	dst, x := base("dst"), base("x")
	loop(length("dst"), 2, func(a at) {
		v := a.load(x)
		s, _, _ := sigmoid(bounded(v, -geluBound, geluBound))
		a.store(times(v, s), dst)
	})
	end()
}

func geluGrad() {
	function("geluGrad", "func(dst, dout, x []float32)",
		"for i := range dst { c := clamp(x[i], slopeBound); s, e := sigmoid(c); dst[i] = dout[i] * (s + s*s*e*c*(geluLinear+3*geluCubic*c*c)) }")
	dst, dout, x := base("dst"), base("dout"), base("x")
	loop(length("dst"), 2, func(a at) {
		c := bounded(a.load(x), -slopeBound, slopeBound)
		s, e, q := sigmoid(c)
		slope := register(constant(geluLinear))
		addProduct(slope, q, constant(3*geluCubic))
		VMULPS(c, slope, slope)
		VMULPS(s, e, e) // 1-s
		VMULPS(e, slope, slope)
		VFMADD213PS(s, s, slope)
		a.store(times(a.load(dout), slope), dst)
	})
	end()
}
