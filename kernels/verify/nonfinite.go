package verify

import (
	"math"

	"ofpeak/kernels"
)

// nonFinite is what must become of numbers that are none: a NaN or an Inf shows in every result that depends on it, so that a broken
// step is noticed, and what is too large for a type becomes an Inf, so that the loss scale is.
func (l *list) nonFinite() {
	t, st := l.t, kernels.StatsOf(l.t)
	const n, oc, c = 7, 33, 40
	m := matmul{n, oc, c, 0}
	for _, bad := range []float64{nan, math.Inf(1), math.Inf(-1)} {
		l.append(kernels.OpLinear, kernels.Layout{}, func(e *env) {
			x := e.in("x", t, e.with(bad, 2*c+5, n*c), n, c)
			e.s.LinearForward(e.out("out", t, tolerance(t, c), n, oc), x, e.weight(kernels.Layout{}, t, m), kernels.Epilogue{})
		}, "forward of %g", bad)
		l.append(kernels.OpLinear, kernels.Layout{}, func(e *env) {
			dout := e.in("dout", t, e.with(bad, 2*oc+5, n*oc), n, oc)
			e.s.LinearBackwardInput(e.out("dx", t, tolerance(t, oc), n, c), dout, e.weight(kernels.Layout{}, t, m), kernels.Epilogue{})
		}, "backward input of %g", bad)
		l.append(kernels.OpLinear, kernels.Layout{}, func(e *env) {
			dout, x := e.in("dout", t, e.with(bad, 2*oc+5, n*oc), n, oc), e.in("x", t, e.normal(n*c, 0, 1), n, c)
			dw := kernels.Weight{OC: oc, C: c, Values: e.sum("dw", st, tolerance(st, n), oc, c)}
			e.s.LinearBackwardWeight(dw, e.sum("dbias", st, tolerance(st, n), oc), dout, x)
		}, "backward weight of %g", bad)
		l.append(kernels.OpLayerNorm, kernels.Layout{}, func(e *env) {
			x := e.in("x", t, e.with(bad, 2*c+5, n*c), n, c)
			gain, bias := e.in("gain", t, e.normal(c, 1, 0.5), c), e.in("bias", t, e.normal(c, 0, 1), c)
			mean, rstd := e.out("mean", st, tolerance(st, c), n), e.out("rstd", st, tolerance(st, c), n)
			e.s.LayerNormForward(e.out("out", t, tolerance(t, c), n, c), mean, rstd, x, gain, bias)
		}, "forward of %g", bad)
		l.append(kernels.OpLoss, kernels.Layout{}, func(e *env) {
			logits := e.in("logits", t, e.with(bad, 2*c+5, n*c), n, c)
			targets := e.in("targets", kernels.I32, make([]float64, n), n)
			loss := e.inOut("loss", st, tolerance(st, c), []float64{0}, 1)
			e.s.CrossEntropy(loss, e.out("dlogits", t, tolerance(t, c), n, c), logits, targets, n, e.state(st, 1, 0, 0))
		}, "cross entropy of %g", bad)
	}
	l.append(kernels.OpLinear, kernels.Layout{}, func(e *env) {
		x := e.normal(n*c, 0, 1)
		for i := range c {
			x[3*c+i] *= 3e4 // most of row 3 of the result passes fp16's largest value
		}
		e.s.LinearForward(e.out("out", t, tolerance(t, c), n, oc), e.in("x", t, x, n, c), e.weight(kernels.Layout{}, t, m), kernels.Epilogue{})
	}, "forward past the largest fp16")
	l.append(kernels.OpLoss, kernels.Layout{}, func(e *env) {
		x, target := e.in("x", t, e.normal(n*c, 0, 1), n, c), e.in("target", t, e.normal(n*c, 0, 1), n, c)
		e.s.MSE(e.sum("loss", st, tolerance(st, n*c), 1), e.out("dx", t, tolerance(t, 1), n, c), x, target, 1, e.state(st, 65536, 0, 0))
	}, "mse scaled past the largest fp16")
}

// with is n normal values, one of them bad.
func (e *env) with(bad float64, at, n int) []float64 {
	v := e.normal(n, 0, 1)
	v[at] = bad
	return v
}
