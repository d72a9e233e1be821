package verify

import (
	"math"

	"ofpeak/kernels"
)

// tf32 is products of float32 operands whose factors are rounded to tf32: of normal values, and of values a float32's last digit beside a tf32, which the rounding restores.
func (l *list) tf32() {
	l.t = kernels.TF32
	const t = kernels.F32
	var dense kernels.Layout
	for _, m := range []matmul{{1, 1, 1, 0}, {17, 33, 65, 3}, {64, 96, 128, 0}, {130, 20, 8, 0}, {3, 130, 300, 1}, {132, 129, 36, 0}} {
		for _, near := range []bool{false, true} {
			add := func(build func(e *env), name string, what any) {
				l.append(kernels.OpLinear, dense, func(e *env) {
					e.math, e.near = kernels.TF32, near
					build(e)
				}, "%s %v %v near=%v", name, m, what, near)
			}
			for _, f := range epilogues[:3] {
				add(func(e *env) { linearForward(e, t, dense, m, f.bias != "", f.act != "", f.residual) }, "forward", f)
			}
			for _, gelu := range []bool{false, true} {
				add(func(e *env) { linearBackwardInput(e, t, dense, m, gelu) }, "backward input", gelu)
			}
			add(func(e *env) { linearBackwardWeight(e, t, dense, m, near) }, "backward weight", near)
		}
	}
}

// factors is n normal values for a product to multiply; where near is set, each a float32's last digit beside one of the math type.
func (e *env) factors(n int) []float64 {
	if e.math == kernels.FP8 {
		return e.hardTo8(n)
	}
	v := e.normal(n, 0, 1)
	if !e.near {
		return v
	}
	for i, x := range v {
		to := float32(math.Inf(1 - 2*e.random.IntN(2)))
		v[i] = float64(math.Nextafter32(float32(Round(e.math, x)), to))
	}
	return v
}

// tolerance is that of a product of so many terms which is stored in t. Rounding a factor to a type costs less than half of its Eps, rounding both less than one Eps of each term. Terms
// of either sign add these up as they do themselves, to a normal error of a standard deviation below a third of an Eps of their sum's own: twice the Eps is six of them.
// Factors that the rounding only brings back are off by the float32 digit. Factors of 8 bits are equal everywhere, but tensor cores keep some 14 bits of their sums (DeepSeek-AI,
// arXiv:2412.19437, section 3.3.2).
func (e *env) tolerance(t kernels.DType, terms int) float64 {
	switch {
	case e.math == 0:
		return tolerance(t, terms)
	case e.math == kernels.FP8:
		return tolerance(t, terms) + 4*math.Sqrt(float64(terms))*0x1p-14
	case e.near:
		return tolerance(t, terms) + 2*kernels.F32.Eps()
	}
	return tolerance(t, terms) + 2*e.math.Eps()
}
