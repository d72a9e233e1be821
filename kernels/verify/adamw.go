package verify

import (
	"math"

	"ofpeak/kernels"
)

func (l *list) adamW() {
	t := l.t
	for _, d := range []struct {
		n, shift     int
		grad         float64 // size of the gradients; the second moment is about its square
		scale, steps float64
		found        float64
	}{
		{1, 0, 1, 1, 0, 0}, {100, 0, 1, 1, 9, 0}, {1001, 1, 1e-3, 65536, 1000, 0}, {333, 3, 1e-10, 1, 3, 0},
		{77, 0, 1e-10, 65536, 100000, 0}, {65, 1, 1, 65536, 5, 1},
	} {
		l.append(kernels.OpAdamW, kernels.Layout{}, func(e *env) {
			e.shift = d.shift
			adamW(e, t, d.n, d.grad, d.scale, d.steps, d.found)
		}, "n=%d grad=%g scale=%g steps=%g found=%g +%d", d.n, d.grad, d.scale, d.steps, d.found, d.shift)
	}
}

func adamW(e *env, t kernels.DType, n int, grad, scale, steps, found float64) {
	st := kernels.StatsOf(t)
	tol, v := 16*st.Eps(), e.normal(n, 0, grad)
	for i := range v {
		v[i] *= v[i]
	}
	if found > 0 {
		tol = 0 // nothing may change
	}
	gs := e.normal(n, 0, grad*scale)
	if found > 0 {
		gs[n/2] = math.Inf(1)
	}
	a := kernels.AdamWArgs{
		Grad: e.in("grad", st, gs, n), State: e.state(st, scale, found, steps),
		LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1,
	}
	e.scale = grad
	a.M = e.inOut("m", st, tol, e.normal(n, 0, grad), n)
	e.scale = grad * grad / 1000 // V may start smaller than that, and each step adds a thousandth of g²
	a.V = e.inOut("v", st, tol, v, n)
	e.scale = 0.02
	a.Master = e.inOut("master", st, tol, e.normal(n, 0, 0.02), n)
	if t != st {
		a.Param = e.inOut("param", t, tolerance(t, 1), e.normal(n, 0, 1), n)
	}
	e.s.AdamW(a)
}
