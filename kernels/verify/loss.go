package verify

import (
	"math"

	"ofpeak/kernels"
)

func (l *list) loss() {
	for _, d := range []struct{ n, v, shift int }{{1, 1, 0}, {5, 12, 0}, {17, 33, 1}, {9, 256, 0}, {4, 1000, 3}} {
		t := l.t
		l.append(kernels.OpLoss, kernels.Layout{}, func(e *env) { mse(e, t, d.n, d.v, d.shift, true) }, "mse N=%d C=%d +%d", d.n, d.v, d.shift)
		l.append(kernels.OpLoss, kernels.Layout{}, func(e *env) { mse(e, t, d.n, d.v, d.shift, false) }, "mse N=%d C=%d no dx +%d", d.n, d.v, d.shift)
		for _, mean := range []float64{0, 120} {
			for _, dlogits := range []string{"apart", "logits", "none"} {
				l.append(kernels.OpLoss, kernels.Layout{}, func(e *env) { crossEntropy(e, t, d.n, d.v, d.shift, mean, dlogits) },
					"cross entropy N=%d V=%d mean=%g dlogits=%s +%d", d.n, d.v, mean, dlogits, d.shift)
			}
		}
	}
}

// state makes the loss-scale state as an input.
func (e *env) state(t kernels.DType, scale, found, steps float64) kernels.Tensor {
	v := make([]float64, kernels.StateLen)
	v[kernels.StateScale], v[kernels.StateFound], v[kernels.StateSteps] = scale, found, steps
	return e.in("state", t, v, kernels.StateLen)
}

func mse(e *env, t kernels.DType, n, c, shift int, backward bool) {
	e.shift = shift
	st := kernels.StatsOf(t)
	const scale = 1024
	x, target := e.in("x", t, e.normal(n*c, 0, 1), n, c), e.in("target", t, e.normal(n*c, 0, 1), n, c)
	var dx kernels.Tensor
	if backward {
		e.scale = scale / float64(n*c)
		dx = e.out("dx", t, tolerance(t, 1), n, c)
	}
	e.scale = 1
	e.s.MSE(e.sum("loss", st, tolerance(st, n*c), 1), dx, x, target, 2*n*c, e.state(st, scale, 0, 0))
}

func crossEntropy(e *env, t kernels.DType, n, v, shift int, mean float64, dlogits string) {
	e.shift = shift
	st := kernels.StatsOf(t)
	values := e.normal(n*v, mean, 3)
	const scale = 1024
	e.scale = scale / (2 * float64(n) * math.Sqrt(float64(v))) // of the target's gradient alone
	// A logit's rounding, relative to the logit, is an absolute error of its exponent.
	tol := tolerance(t, v) + 4*(mean+12)*st.Eps()
	targets := e.in("targets", kernels.I32, e.below(n, v), n)
	var logits, d kernels.Tensor
	if dlogits == "logits" {
		logits = e.inOut("logits", t, tol, values, n, v)
		d = logits
	} else {
		logits = e.in("logits", t, values, n, v)
	}
	if dlogits == "apart" {
		d = e.out("dlogits", t, tol, n, v)
	}
	e.scale = 1
	loss := e.inOut("loss", st, tolerance(st, n)+4*(mean+12)*st.Eps(), []float64{2}, 1)
	e.s.CrossEntropy(loss, d, logits, targets, 2*n, e.state(st, scale, 0, 0))
}
