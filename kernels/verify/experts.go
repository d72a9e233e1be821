package verify

import (
	"math"

	"ofpeak/kernels"
)

// expertDims are tokens, their groups, experts, choices, rows of a group for each expert, and channels.
type expertDims struct{ n, group, e, k, capacity, c, shift int }

func (l *list) experts() {
	t := l.t
	for _, d := range []expertDims{
		{1, 1, 1, 1, 1, 1, 0}, {6, 3, 2, 1, 3, 5, 0}, {40, 10, 4, 1, 2, 33, 1}, {34, 17, 5, 2, 4, 12, 3}, {128, 64, 8, 2, 24, 64, 0}, {64, 32, 3, 2, 1, 70, 1},
	} {
		for _, mean := range []float64{0, 120} {
			l.append(kernels.OpExperts, kernels.Layout{}, func(e *env) { routeForward(e, t, d, mean) },
				"route N=%d G=%d E=%d K=%d capacity=%d mean=%g +%d", d.n, d.group, d.e, d.k, d.capacity, mean, d.shift)
		}
		l.append(kernels.OpExperts, kernels.Layout{}, func(e *env) { routeBackward(e, t, d) },
			"route backward N=%d G=%d E=%d K=%d +%d", d.n, d.group, d.e, d.k, d.shift)
		for _, weighted := range []bool{false, true} {
			l.append(kernels.OpExperts, kernels.Layout{}, func(e *env) { dispatch(e, t, d, weighted) },
				"dispatch N=%d E=%d K=%d C=%d weighted=%t +%d", d.n, d.e, d.k, d.c, weighted, d.shift)
			for _, residual := range []string{"none", "apart", "out"} {
				l.append(kernels.OpExperts, kernels.Layout{}, func(e *env) { combine(e, t, d, weighted, residual) },
					"combine N=%d E=%d K=%d C=%d weighted=%t residual=%s +%d", d.n, d.e, d.k, d.c, weighted, residual, d.shift)
			}
		}
		l.append(kernels.OpExperts, kernels.Layout{}, func(e *env) { gateBackward(e, t, d) },
			"gate backward N=%d E=%d K=%d C=%d +%d", d.n, d.e, d.k, d.c, d.shift)
	}
}

func (d expertDims) rows() int { return d.e * d.n / d.group * d.capacity }

// routing is one that tokens chose at random, as RouteForward would leave it.
func (e *env) routing(t kernels.DType, d expertDims) kernels.Routing {
	st := kernels.StatsOf(t)
	probs, gates := make([]float64, d.n*d.e), make([]float64, d.n*d.k)
	choices, rows, tokens := make([]float64, d.n*d.k), make([]float64, d.n*d.k), make([]float64, d.rows())
	for i := range tokens {
		tokens[i] = -1
	}
	taken := map[[2]int]int{}
	for i := range d.n {
		sum := 0.0
		for j := range d.e {
			probs[i*d.e+j] = math.Exp(e.random.NormFloat64())
			sum += probs[i*d.e+j]
		}
		for j := range d.e {
			probs[i*d.e+j] /= sum
		}
		first := e.random.IntN(d.e)
		for c := range d.k {
			at, expert := i*d.k+c, (first+c)%d.e
			choices[at], gates[at], rows[at] = float64(expert), e.random.Float64(), -1
			place := [2]int{expert, i / d.group}
			if taken[place] < d.capacity {
				row := (expert*(d.n/d.group)+i/d.group)*d.capacity + taken[place]
				rows[at], tokens[row] = float64(row), float64(at)
				taken[place]++
			}
		}
	}
	return kernels.Routing{
		Group: d.group, Capacity: d.capacity,
		Probs: e.in("probs", st, probs, d.n, d.e), Gates: e.in("gates", st, gates, d.n, d.k),
		Choices: e.in("choices", kernels.I32, choices, d.n, d.k), Rows: e.in("rows", kernels.I32, rows, d.n, d.k), Tokens: e.in("tokens", kernels.I32, tokens, d.rows()),
	}
}

func routeForward(e *env, t kernels.DType, d expertDims, mean float64) {
	e.shift, e.scale = d.shift, 1
	st := kernels.StatsOf(t)
	logits := e.in("logits", t, e.normal(d.n*d.e, mean, 3), d.n, d.e)
	// A logit's rounding, relative to the logit, is an absolute error of its exponent.
	tol := tolerance(st, d.e) + 4*(mean+12)*st.Eps()
	zeros := func(n int) []float64 { return make([]float64, n) }
	r := kernels.Routing{
		Group: d.group, Capacity: d.capacity,
		Probs: e.out("probs", st, tol, d.n, d.e), Gates: e.out("gates", st, tol, d.n, d.k),
		Choices: e.inOut("choices", kernels.I32, 0, zeros(d.n*d.k), d.n, d.k), Rows: e.inOut("rows", kernels.I32, 0, zeros(d.n*d.k), d.n, d.k),
		Tokens: e.inOut("tokens", kernels.I32, 0, zeros(d.rows()), d.rows()),
	}
	e.s.RouteForward(r, e.inOut("stats", st, tolerance(st, d.n)+4*(mean+12)*st.Eps(), []float64{1, 2, 3}, kernels.RouteLen), logits, 2*d.n/d.group)
}

func routeBackward(e *env, t kernels.DType, d expertDims) {
	e.shift = d.shift
	st := kernels.StatsOf(t)
	r := e.routing(t, d)
	dgates := e.in("dgates", st, e.normal(d.n*d.k, 0, 1), d.n, d.k)
	e.scale = 1
	e.s.RouteBackward(e.out("dlogits", t, tolerance(t, 4*d.e), d.n, d.e), dgates, r, 0.5, 2*d.n/d.group, e.state(st, 4, 0, 0))
}

func dispatch(e *env, t kernels.DType, d expertDims, weighted bool) {
	e.shift, e.scale = d.shift, 1
	x := e.in("x", t, e.normal(d.n*d.c, 0, 1), d.n, d.c)
	r := e.routing(t, d)
	e.s.Dispatch(e.out("out", t, tolerance(t, 1), d.rows(), d.c), x, r, weighted)
}

func combine(e *env, t kernels.DType, d expertDims, weighted bool, residual string) {
	e.shift, e.scale = d.shift, 1
	y := e.in("y", t, e.normal(d.rows()*d.c, 0, 1), d.rows(), d.c)
	r := e.routing(t, d)
	var res kernels.Tensor
	out := e.inOut("out", t, tolerance(t, d.k), e.normal(d.n*d.c, 0, 1), d.n, d.c)
	switch residual {
	case "apart":
		res = e.in("residual", t, e.normal(d.n*d.c, 0, 1), d.n, d.c)
	case "out":
		res = out
	}
	e.s.Combine(out, y, res, r, weighted)
}

func gateBackward(e *env, t kernels.DType, d expertDims) {
	e.shift = d.shift
	st := kernels.StatsOf(t)
	dout := e.in("dout", t, e.normal(d.n*d.c, 0, 1), d.n, d.c)
	y := e.in("y", t, e.normal(d.rows()*d.c, 0, 1), d.rows(), d.c)
	r := e.routing(t, d)
	e.scale = math.Sqrt(float64(d.c))
	e.s.GateBackward(e.out("dgates", st, tolerance(st, d.c), d.n, d.k), dout, y, r)
}
