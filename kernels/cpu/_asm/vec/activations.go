package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func activations() {
	expSum()
	softmax("softmax")
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

// slack is vec.Slack.
const slack = 8

// softmax needs the largest element before it can start on the exponentials: two passes over a row that stays in L1. The name says whether it
// replaces x or rounds to dst.
func softmax(name string) {
	signature, doc := "func(x []float32, scale, top float32) (newTop, sum float32)", "x[i] = e; sum += e }"
	rounds := name == "softmaxBF16"
	if rounds {
		signature, doc = "func(dst []uint16, x []float32, scale, top float32) (newTop, sum float32)", "dst[i] = bf16(e); sum += e }, and zeros to the end of the vector"
	}
	function(name, signature, "newTop = top; if m := scale*max(x); m > top+slack { newTop = m }; for i := range x { e := exp(scale*x[i] - newTop); "+doc)
	x, n, scale := base("x"), length("x"), scalar("scale")
	shift := newTop(x, n, scale)
	result(0, shift.AsX())
	acc, degree, dst := accumulators(2, zero), exactDegree, reg.Register(nil)
	if rounds {
		degree, dst = roundedDegree, base("dst")
	}
	namedLoop("exp", n, 2, func(a at) {
		v := a.load(x)
		VFMSUB213PS(shift, scale, v)
		e := a.clear(expTo(v, degree)).(reg.VecVirtual)
		VADDPS(e, acc[a.lane], acc[a.lane])
		if rounds {
			a.roundTo(e, dst)
		} else {
			a.store(e, x)
		}
	})
	result(1, reduce(VADDPS, acc))
	end()
}

// newTop is, in all lanes, the largest of scale*x if that is above top by more than the slack, else top.
func newTop(x, n, scale reg.Register) reg.VecVirtual {
	largest := accumulators(4, func() reg.VecVirtual { return register(constant(math.Inf(-1))) })
	none := copyOf(largest[0])
	namedLoop("max", n, 4, func(a at) {
		VMAXPS(a.fill(a.load(x), none), largest[a.lane], largest[a.lane])
	})
	found, top := vec(), scalar("top")
	VBROADCASTSS(reduce(VMAXPS, largest), found)
	VMULPS(scale, found, found)
	limit, d := plus(top, constant(slack)), vec()
	const above = 0x1e
	if wide() {
		k := K()
		VCMPPS(Imm(above), limit, found, k)
		VBLENDMPS(found, top, k, d)
	} else {
		k := vec()
		VCMPPS(Imm(above), limit, found, k)
		VBLENDVPS(k, found, top, d)
	}
	return d
}

// Degrees of exp's polynomial: its remainder for |r| ≤ ln2/2 is below 6e-9, and below 3e-6 where the result will be rounded to bfloat16.
const (
	exactDegree   = 7
	roundedDegree = 5
)

func exp(x Op) reg.VecVirtual { return expTo(x, exactDegree) }

// expTo is e^x: x = n·ln2 + r, e^x = 2^n·e^r, with the Taylor polynomial of a degree for |r| ≤ ln2/2; with exactDegree in about one unit in the
// last place.
func expTo(x Op, degree int) reg.VecVirtual {
	v := bounded(x, -105, 89) // e^-105 rounds to 0, e^89 to infinity
	n := times(v, constant(math.Log2E))
	if wide() {
		VRNDSCALEPS(Imm(8), n, n)
	} else {
		VROUNDPS(Imm(8), n, n)
	}
	// ln2 in two parts: n times the first is exact.
	const high = 0x1.62e4p-1
	subtractProduct.of(constant(high), n, v)
	subtractProduct.of(constant(math.Ln2-high), n, v)
	inverse := []float64{1, 1, 2, 6, 24, 120, 720, 5040} // of the coefficients
	p := register(constant(1 / inverse[degree]))
	for i := degree - 1; i >= 0; i-- {
		addTo.of(constant(1/inverse[i]), v, p)
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
	subtractProduct.of(constant(geluCubic), q, u)
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
