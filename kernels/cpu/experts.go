package cpu

import (
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type routeForward struct {
	r             kernels.Routing
	stats, logits kernels.Tensor
	groups        int
	set           *vec.Set
	sums          []float32 // of each group: balance, dropped choices
}

// RouteForward routes tokens to experts; see kernels.ExpertOps.
func (s *Stream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	kernels.CheckRouteForward(r, stats, logits, groups)
	enqueue(s, &s.pools.routeForward, routeForward{r: r, stats: stats, logits: logits, groups: groups, set: s.dev.chosen[kernels.OpExperts].set})
}

func (c *routeForward) run(s *Stream) {
	n, _, k, _ := c.r.Sizes()
	s.common.reset()
	c.sums = s.common.take(2 * n / c.r.Group)
	s.share(c, c.logits.Size())
	balance, dropped := 0.0, 0.0
	for g := 0; g < len(c.sums); g += 2 {
		balance, dropped = balance+float64(c.sums[g]), dropped+float64(c.sums[g+1])
	}
	stats := floats(c.stats)
	stats[kernels.RouteBalance] += float32(balance / float64(c.groups))
	stats[kernels.RouteDropped] += float32(dropped)
	stats[kernels.RouteChoices] += float32(n * k)
}

// part takes whole groups.
func (c *routeForward) part(s *Stream, worker, workers int) {
	n, e, k, _ := c.r.Sizes()
	logits, probs, gates := valuesOf(c.logits), floats(c.r.Probs), floats(c.r.Gates)
	choices := ints(c.r.Choices)
	a := &s.arenas[worker]
	buf, taken, load := a.take(e), a.take(e), a.take(2*e)
	lo, hi := span(n/c.r.Group, worker, workers)
	for g := lo; g < hi; g++ {
		for i := g * c.r.Group; i < (g+1)*c.r.Group; i++ {
			choose(c.set, probs[i*e:(i+1)*e], gates[i*k:(i+1)*k], choices[i*k:(i+1)*k], logits.load(c.set, i*e, e, buf))
		}
		c.sums[2*g+1] = place(c.r, g, taken)
		groupLoad(c.set, c.r, g, load)
		c.sums[2*g] = float32(e) * c.set.Dot(load[:e], load[e:])
	}
}

// choose writes a token's probabilities, choices and gates from its logits.
func choose(set *vec.Set, probs, gates []float32, choices []int32, x []float32) {
	sum := set.ExpSum(probs, x, 1, set.Max(x))
	set.Scale(probs, probs, 1/sum)
	for c := range choices {
		best := -1
		for i, v := range x {
			if (c == 0 || i != int(choices[0])) && (best < 0 || v > x[best]) {
				best = i
			}
		}
		choices[c], gates[c] = int32(best), probs[best]
	}
	if len(choices) == 2 {
		both := gates[0] + gates[1]
		gates[0], gates[1] = gates[0]/both, gates[1]/both
	}
}

// place gives a group's choices their rows, and returns how many found none. taken has room for each expert.
func place(r kernels.Routing, group int, taken []float32) float32 {
	n, e, k, _ := r.Sizes()
	choices, rows, tokens := ints(r.Choices), ints(r.Rows), ints(r.Tokens)
	clear(taken)
	for j := range e {
		first := (j*(n/r.Group) + group) * r.Capacity
		for i := range r.Capacity {
			tokens[first+i] = -1
		}
	}
	dropped := 0
	for c := range k {
		for i := group * r.Group; i < (group+1)*r.Group; i++ {
			at, expert := i*k+c, int(choices[i*k+c])
			position := int(taken[expert])
			if position == r.Capacity {
				rows[at] = -1
				dropped++
				continue
			}
			rows[at] = int32((expert*(n/r.Group)+group)*r.Capacity + position)
			tokens[rows[at]] = int32(at)
			taken[expert]++
		}
	}
	return float32(dropped)
}

// groupLoad is each expert's share of a group's first choices, in the first half of load, and its mean probability in the second.
func groupLoad(set *vec.Set, r kernels.Routing, group int, load []float32) {
	_, e, k, _ := r.Sizes()
	probs, choices := floats(r.Probs), ints(r.Choices)
	clear(load)
	share := 1 / float32(r.Group)
	for i := group * r.Group; i < (group+1)*r.Group; i++ {
		load[choices[i*k]] += share
		set.Axpy(load[e:], probs[i*e:(i+1)*e], share)
	}
}

type routeBackward struct {
	dlogits, dgates, state kernels.Tensor
	r                      kernels.Routing
	weight                 float64
	groups                 int
	set                    *vec.Set
}

// RouteBackward is the gradient of the router's logits; see kernels.ExpertOps.
func (s *Stream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	kernels.CheckRouteBackward(dlogits, dgates, r, groups, state)
	enqueue(s, &s.pools.routeBackward, routeBackward{dlogits, dgates, state, r, weight, groups, s.dev.chosen[kernels.OpExperts].set})
}

func (c *routeBackward) run(s *Stream) { s.share(c, c.dlogits.Size()) }

func (c *routeBackward) part(s *Stream, worker, workers int) {
	n, e, k, _ := c.r.Sizes()
	dlogits, dgates, gates := valuesOf(c.dlogits), floats(c.dgates), floats(c.r.Gates)
	probs, choices := floats(c.r.Probs), ints(c.r.Choices)
	balance := float32(c.weight * float64(e) / float64(c.r.Group) / float64(c.groups) * float64(floats(c.state)[kernels.StateScale]))
	a := &s.arenas[worker]
	buf, dp, load := a.take(e), a.take(e), a.take(2*e)
	lo, hi := span(n/c.r.Group, worker, workers)
	for g := lo; g < hi; g++ {
		groupLoad(c.set, c.r, g, load)
		for i := g * c.r.Group; i < (g+1)*c.r.Group; i++ {
			p := probs[i*e : (i+1)*e]
			c.set.Scale(dp, load[:e], balance)
			sum, through := float32(1), float32(0)
			if k == 2 {
				sum = p[choices[i*k]] + p[choices[i*k+1]]
				through = dgates[i*k]*gates[i*k] + dgates[i*k+1]*gates[i*k+1]
			}
			for at := i * k; at < (i+1)*k; at++ {
				dp[choices[at]] += (dgates[at] - through) / sum
			}
			dst := dlogits.dest(i*e, e, buf)
			c.set.SoftmaxGrad(dst, p, dp, c.set.Dot(p, dp), 1)
			dlogits.store(c.set, i*e, dst)
		}
	}
}

type dispatch struct {
	out, x   kernels.Tensor
	r        kernels.Routing
	weighted bool
	set      *vec.Set
}

// Dispatch copies tokens to the rows of their experts; see kernels.ExpertOps.
func (s *Stream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckDispatch(out, x, r)
	enqueue(s, &s.pools.dispatch, dispatch{out, x, r, weighted, s.dev.chosen[kernels.OpExperts].set})
}

func (c *dispatch) run(s *Stream) { s.share(c, c.out.Size()) }

func (c *dispatch) part(s *Stream, worker, workers int) {
	_, _, k, rows := c.r.Sizes()
	out, x, width := valuesOf(c.out), valuesOf(c.x), c.x.Dim(-1)
	gates, tokens := floats(c.r.Gates), ints(c.r.Tokens)
	a := &s.arenas[worker]
	in, buf := a.take(width), a.take(width)
	lo, hi := span(rows, worker, workers)
	for i := lo; i < hi; i++ {
		dst := out.dest(i*width, width, buf)
		switch at := int(tokens[i]); {
		case at < 0:
			clear(dst)
		case c.weighted:
			c.set.Scale(dst, x.load(c.set, at/k*width, width, in), gates[at])
		default:
			copy(dst, x.load(c.set, at/k*width, width, in))
		}
		out.store(c.set, i*width, dst)
	}
}

type combine struct {
	out, y, residual kernels.Tensor
	r                kernels.Routing
	weighted         bool
	set              *vec.Set
}

// Combine adds up the results of each token's experts; see kernels.ExpertOps.
func (s *Stream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckCombine(out, y, residual, r)
	enqueue(s, &s.pools.combine, combine{out, y, residual, r, weighted, s.dev.chosen[kernels.OpExperts].set})
}

func (c *combine) run(s *Stream) { s.share(c, c.out.Size()) }

func (c *combine) part(s *Stream, worker, workers int) {
	n, _, k, _ := c.r.Sizes()
	out, y, residual, width := valuesOf(c.out), valuesOf(c.y), valuesOf(c.residual), c.out.Dim(-1)
	gates, rows := floats(c.r.Gates), ints(c.r.Rows)
	a := &s.arenas[worker]
	in, sum := a.take(width), a.take(width)
	lo, hi := span(n, worker, workers)
	for i := lo; i < hi; i++ {
		clear(sum)
		if !c.residual.None() {
			copy(sum, residual.load(c.set, i*width, width, in))
		}
		for at := i * k; at < (i+1)*k; at++ {
			if rows[at] < 0 {
				continue
			}
			gate := float32(1)
			if c.weighted {
				gate = gates[at]
			}
			c.set.Axpy(sum, y.load(c.set, int(rows[at])*width, width, in), gate)
		}
		dst := out.dest(i*width, width, sum)
		copy(dst, sum)
		out.store(c.set, i*width, dst)
	}
}

type gateBackward struct {
	dgates, dout, y kernels.Tensor
	r               kernels.Routing
	set             *vec.Set
}

// GateBackward is the gradient of the gates; see kernels.ExpertOps.
func (s *Stream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	kernels.CheckGateBackward(dgates, dout, y, r)
	enqueue(s, &s.pools.gateBackward, gateBackward{dgates, dout, y, r, s.dev.chosen[kernels.OpExperts].set})
}

func (c *gateBackward) run(s *Stream) { s.share(c, c.dout.Size()) }

func (c *gateBackward) part(s *Stream, worker, workers int) {
	n, _, k, _ := c.r.Sizes()
	dgates, dout, y, rows := floats(c.dgates), valuesOf(c.dout), valuesOf(c.y), ints(c.r.Rows)
	width := c.dout.Dim(-1)
	a := &s.arenas[worker]
	d, in := a.take(width), a.take(width)
	lo, hi := span(n, worker, workers)
	for i := lo; i < hi; i++ {
		row := dout.load(c.set, i*width, width, d)
		for at := i * k; at < (i+1)*k; at++ {
			dgates[at] = 0
			if rows[at] >= 0 {
				dgates[at] = c.set.Dot(row, y.load(c.set, int(rows[at])*width, width, in))
			}
		}
	}
}
