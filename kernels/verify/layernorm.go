package verify

import (
	"math"
	"slices"

	"ofpeak/kernels"
)

func (l *list) layerNorm() {
	t, st := l.t, kernels.StatsOf(l.t)
	for _, d := range []struct {
		n, c, shift int
		mean        float64
	}{{1, 2, 0, 0}, {5, 12, 0, 0}, {3, 33, 1, 0}, {17, 64, 0, 0}, {4, 257, 3, 0}, {9, 768, 0, 0}, {6, 65, 0, 100}, {6, 300, 1, 1000}} {
		l.append(kernels.OpLayerNorm, kernels.Layout{}, func(e *env) {
			e.shift, e.scale = d.shift, 1
			xs := round(t, e.normal(d.n*d.c, d.mean, 1))
			statsTol := 4 * math.Sqrt(float64(d.c)) * (1 + centring(xs, d.c)) * st.Eps()
			tol := tolerance(t, 1) + statsTol
			x := e.in("x", t, xs, d.n, d.c)
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
	centred := 4 * centring(xs, c) * st.Eps()
	tol := 2*tolerance(t, c)*max(1, slices.Max(rstds)) + centred
	dgain, dbias := e.sum("dgain", st, tolerance(st, n)+centred, c), e.sum("dbias", st, tolerance(st, n), c)
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

// centring is by how much subtracting a row's mean magnifies rounding, in the worst of x's rows: what is subtracted is rounded relative to the elements, and the
// result is relative to the row's spread. Two elements may lie close together.
func centring(x []float64, c int) float64 {
	_, rstd := rowStats(x, c)
	worst := 0.0
	for i, e := range x {
		worst = max(worst, math.Abs(e)*rstd[i/c])
	}
	return worst
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
