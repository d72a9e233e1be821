package ref

import (
	"math"

	"ofpeak/kernels"
)

func (s *stream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	kernels.CheckRouteForward(r, stats, logits, groups)
	n, e, k, _ := r.Sizes()
	x, probs, gates, counts := read(logits), read(r.Probs), read(r.Gates), read(stats)
	choices, rows, tokens := ints[int32](r.Choices), ints[int32](r.Rows), ints[int32](r.Tokens)
	for i := range n {
		choose(row(probs, i, e), row(gates, i, k), choices[i*k:(i+1)*k], row(x, i, e))
	}
	for i := range tokens {
		tokens[i] = -1
	}
	for g := range n / r.Group {
		taken := make([]int, e)
		for c := range k {
			for i := g * r.Group; i < (g+1)*r.Group; i++ {
				at, expert := i*k+c, int(choices[i*k+c])
				if taken[expert] == r.Capacity {
					rows[at] = -1
					counts[kernels.RouteDropped]++
					continue
				}
				rows[at] = int32((expert*(n/r.Group)+g)*r.Capacity + taken[expert])
				tokens[rows[at]] = int32(at)
				taken[expert]++
			}
		}
		first, mean := groupLoad(r, g, probs, choices)
		for j := range e {
			counts[kernels.RouteBalance] += float64(e) * first[j] * mean[j] / float64(groups)
		}
	}
	counts[kernels.RouteChoices] += float64(n * k)
	write(r.Probs, probs)
	write(r.Gates, gates)
	write(stats, counts)
}

// choose writes a token's probabilities, choices and gates from its logits.
func choose(probs, gates []float64, choices []int32, x []float64) {
	lse := logSumExp(x)
	for i, v := range x {
		probs[i] = math.Exp(v - lse)
	}
	for c := range choices {
		best := -1
		for i := range x {
			if (c == 0 || i != int(choices[0])) && (best < 0 || x[i] > x[best]) {
				best = i
			}
		}
		choices[c], gates[c] = int32(best), probs[best]
	}
	if len(choices) == 2 {
		sum := gates[0] + gates[1]
		gates[0], gates[1] = gates[0]/sum, gates[1]/sum
	}
}

// groupLoad is each expert's share of a group's first choices, and its mean probability.
func groupLoad(r kernels.Routing, group int, probs []float64, choices []int32) (first, mean []float64) {
	_, e, k, _ := r.Sizes()
	first, mean = make([]float64, e), make([]float64, e)
	for i := group * r.Group; i < (group+1)*r.Group; i++ {
		first[choices[i*k]] += 1 / float64(r.Group)
		axpy(mean, 1/float64(r.Group), row(probs, i, e))
	}
	return first, mean
}

func (s *stream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	kernels.CheckRouteBackward(dlogits, dgates, r, groups, state)
	n, e, k, _ := r.Sizes()
	d, dg, probs, gates, choices := read(dlogits), read(dgates), read(r.Probs), read(r.Gates), ints[int32](r.Choices)
	balance := weight * float64(e) / float64(r.Group) / float64(groups) * read(state)[kernels.StateScale]
	for g := range n / r.Group {
		first, _ := groupLoad(r, g, probs, choices)
		for i := g * r.Group; i < (g+1)*r.Group; i++ {
			p, dp := row(probs, i, e), make([]float64, e)
			axpy(dp, balance, first)
			sum, through := 1.0, 0.0
			if k == 2 {
				sum = p[choices[i*k]] + p[choices[i*k+1]]
				through = dot(row(dg, i, k), row(gates, i, k))
			}
			for c := range k {
				dp[choices[i*k+c]] += (dg[i*k+c] - through) / sum
			}
			mean := dot(p, dp)
			for j := range e {
				d[i*e+j] = p[j] * (dp[j] - mean)
			}
		}
	}
	write(dlogits, d)
}

func (s *stream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckDispatch(out, x, r)
	_, _, k, _ := r.Sizes()
	o, xs, gates, c := read(out), read(x), read(r.Gates), x.Dim(-1)
	for i, at := range ints[int32](r.Tokens) {
		y := row(o, i, c)
		clear(y)
		switch {
		case at < 0:
		case weighted:
			axpy(y, gates[at], row(xs, int(at)/k, c))
		default:
			copy(y, row(xs, int(at)/k, c))
		}
	}
	write(out, o)
}

func (s *stream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckCombine(out, y, residual, r)
	n, _, k, _ := r.Sizes()
	o, ys, res, gates, c := read(out), read(y), read(residual), read(r.Gates), out.Dim(-1)
	rows := ints[int32](r.Rows)
	for i := range n {
		dst := row(o, i, c)
		if res == nil {
			clear(dst)
		} else {
			copy(dst, row(res, i, c))
		}
		for at := i * k; at < (i+1)*k; at++ {
			if rows[at] < 0 {
				continue
			}
			gate := 1.0
			if weighted {
				gate = gates[at]
			}
			axpy(dst, gate, row(ys, int(rows[at]), c))
		}
	}
	write(out, o)
}

func (s *stream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	kernels.CheckGateBackward(dgates, dout, y, r)
	_, _, k, _ := r.Sizes()
	dg, d, ys, c := read(dgates), read(dout), read(y), dout.Dim(-1)
	for at, to := range ints[int32](r.Rows) {
		dg[at] = 0
		if to >= 0 {
			dg[at] = dot(row(d, at/k, c), row(ys, int(to), c))
		}
	}
	write(dgates, dg)
}
