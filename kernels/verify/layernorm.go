package verify

import (
	"math"

	"ofpeak/kernels"
)

func (l *list) layerNorm() {
	t, st := l.t, kernels.StatsOf(l.t)
	for _, d := range []struct {
		n, c, shift int
		mean        float64
	}{{1, 2, 0, 0}, {5, 12, 0, 0}, {3, 33, 1, 0}, {17, 64, 0, 0}, {4, 257, 3, 0}, {9, 768, 0, 0}, {6, 65, 0, 100}, {6, 300, 1, 1000}} {
		// The rounding of a row's mean is relative to the mean; the result is relative to the row's spread of 1.
		statsTol := 4 * math.Sqrt(float64(d.c)) * (1 + d.mean) * st.Eps()
		tol := tolerance(t, 1) + statsTol
		l.append(kernels.OpLayerNorm, kernels.Layout{}, func(e *env) {
			e.shift, e.scale = d.shift, 1
			x := e.in("x", t, e.normal(d.n*d.c, d.mean, 1), d.n, d.c)
			gain, bias := e.in("gain", t, e.normal(d.c, 1, 0.5), d.c), e.in("bias", t, e.normal(d.c, 0, 1), d.c)
			mean, rstd := e.out("mean", st, tolerance(st, d.c), d.n), e.out("rstd", st, statsTol, d.n)
			e.s.LayerNormForward(e.out("out", t, tol, d.n, d.c), mean, rstd, x, gain, bias)
		}, "forward N=%d C=%d mean=%g +%d", d.n, d.c, d.mean, d.shift)
		for _, residual := range []string{"none", "apart", "dx"} {
			l.append(kernels.OpLayerNorm, kernels.Layout{}, func(e *env) { layerNormBackward(e, t, d.n, d.c, d.shift, d.mean, residual) },
				"backward N=%d C=%d mean=%g residual=%s +%d", d.n, d.c, d.mean, residual, d.shift)
		}
	}
}

func layerNormBackward(e *env, t kernels.DType, n, c, shift int, mean float64, residual string) {
	e.shift, e.scale = shift, 1
	st := kernels.StatsOf(t)
	xs := round(t, e.normal(n*c, mean, 1))
	means, rstds := rowStats(xs, c)
	x, dout := e.in("x", t, xs, n, c), e.in("dout", t, e.normal(n*c, 0, 1), n, c)
	m, r, gain := e.in("mean", st, means, n), e.in("rstd", st, rstds, n), e.in("gain", t, e.normal(c, 1, 0.5), c)
	tol := 2*tolerance(t, c) + 4*mean*st.Eps()
	dgain, dbias := e.sum("dgain", st, tolerance(st, n)+4*mean*st.Eps(), c), e.sum("dbias", st, tolerance(st, n), c)
	var dx, res kernels.Tensor
	switch residual {
	case "dx":
		dx = e.inOut("dx", t, tol, e.normal(n*c, 0, 1), n, c)
		res = dx
	case "apart":
		res = e.in("residual", t, e.normal(n*c, 0, 1), n, c)
		fallthrough
	default:
		dx = e.out("dx", t, tol, n, c)
	}
	e.s.LayerNormBackward(dx, dgain, dbias, dout, x, m, r, gain, res)
}

// rowStats is what LayerNormForward keeps of x's rows.
func rowStats(x []float64, c int) (mean, rstd []float64) {
	for ; len(x) > 0; x = x[c:] {
		m, v := 0.0, 0.0
		for _, e := range x[:c] {
			m += e / float64(c)
		}
		for _, e := range x[:c] {
			v += (e - m) * (e - m) / float64(c)
		}
		mean, rstd = append(mean, m), append(rstd, 1/math.Sqrt(v+1e-5))
	}
	return mean, rstd
}
