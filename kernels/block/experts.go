package block

import (
	"fmt"
	"math"

	"ofpeak/kernels"
)

// BalanceWeight is the factor of the load-balancing loss (Fedus et al., "Switch Transformer", arXiv:2101.03961, section 2.2).
const BalanceWeight = 0.01

// Experts turns each block's MLP into a mixture of experts: of Count MLPs a router picks TopK for each token (Fedus et al., "Switch Transformer",
// arXiv:2101.03961, section 2.1; Lepikhin et al., "GShard", arXiv:2006.16668, section 2.2). An expert is 4C/TopK wide and without biases, so that
// whatever TopK a token costs what it costs in a dense block. The zero Experts is the dense block.
//
// A group of tokens that shares the experts' capacity is one sequence, or one of its Parts: what is dropped then does not depend on how a batch is split.
type Experts struct {
	Count, TopK int
	// Parts cuts each sequence into so many groups; 0 means 1. With context parallelism no group may lie on two ranks.
	Parts int
	// Capacity is the capacity factor: in each group of G tokens an expert takes Capacity·TopK·G/Count, rounded up.
	Capacity float64
	// Ranks and Rank spread the experts evenly over the ranks of expert parallelism; Ranks 0 means 1.
	Ranks, Rank int
	// Groups is the number of groups of the whole batch, over which the load-balancing loss is the mean; 0 means a microbatch's.
	Groups int
}

// Exchange gives each expert-parallel rank its part of all ranks' rows: part r of dst = part Rank of rank r's src.
type Exchange interface {
	AllToAll(s kernels.Stream, dst, src kernels.Tensor)
}

// normal fills in the defaults.
func (e Experts) normal(batch int) Experts {
	e.Ranks, e.Parts = max(e.Ranks, 1), max(e.Parts, 1)
	if e.Groups == 0 {
		e.Groups = batch * e.Parts
	}
	return e
}

// check is nil, or says what does not fit together in a config with experts.
func (c Config) checkExperts() error {
	e := c.Experts
	switch {
	case e.Count == 0 && e.Ranks > 1:
		return fmt.Errorf("expert parallelism needs experts: give their number")
	case e.Count == 0:
		return nil
	case e.Count < 0 || e.TopK < 1 || e.TopK > 2 || e.TopK > e.Count:
		return fmt.Errorf("%d experts of which each token takes %d: give 1 or 2, and as many experts", e.Count, e.TopK)
	case !(e.Capacity > 0 && e.Capacity <= 1000):
		return fmt.Errorf("a capacity factor of %g: give one above 0, such as 1.25", e.Capacity)
	case e.Count%e.Ranks != 0:
		return fmt.Errorf("%d experts are not divisible by ep=%d", e.Count, e.Ranks)
	case c.hidden()%c.TP != 0:
		return fmt.Errorf("an expert's width of %d is not divisible by tp=%d", c.hidden(), c.TP)
	case c.T%e.Parts != 0:
		return fmt.Errorf("T=%d is not divisible by the %d groups that share the experts' capacity", c.T, e.Parts)
	case c.CP > 1 && e.Parts%(2*c.CP) != 0:
		return fmt.Errorf("groups of %d tokens that share the experts' capacity do not lie whole in one of the 2·%d chunks that cp=%d makes of a sequence", c.group(), c.CP, c.CP)
	}
	return nil
}

// hidden is the width of an expert, or of a dense MLP.
func (c Config) hidden() int { return 4 * c.C / max(1, c.Experts.TopK) }

// group is the number of tokens that share the experts' capacity.
func (c Config) group() int { return c.T / c.Experts.Parts }

// capacity is the number of rows of an expert for each group.
func (c Config) capacity() int {
	return int(math.Ceil(c.Experts.Capacity * float64(c.Experts.TopK*c.group()) / float64(c.Experts.Count)))
}

// rows is the number of rows of all experts for a rank's microbatch.
func (c Config) rows() int { return c.Experts.Count * c.all() / c.group() * c.capacity() }

// local is the number of experts that a rank holds.
func (e Experts) local() int { return e.Count / e.Ranks }

// expertParams are a block's router and this rank's experts.
func expertParams(c Config, prefix string, layer int, std, resid float64) []Param {
	ps := []Param{{Name: prefix + "router.weight", OC: c.Experts.Count, C: c.C, std: std, Replicated: true}}
	width := c.hidden() / c.TP
	for i := range c.Experts.local() {
		n := c.Experts.Rank*c.Experts.local() + i
		name, id := fmt.Sprintf("%se%d.", prefix, n), uint64(1)<<36|uint64(layer)<<20|uint64(2*n)
		ps = append(ps,
			Param{Name: name + "fc.weight", OC: width, C: c.C, std: std, id: id, sparse: true, Expert: true},
			Param{Name: name + "out.weight", OC: c.C, C: width, std: resid, id: id + 1, sparse: true, shard: shard{byCol: true}, Expert: true})
	}
	return ps
}

// mixture is a block's router and the experts that this rank holds.
type mixture struct {
	Experts
	router  linear
	fc, out []linear // by local expert; no biases
	stats   kernels.Tensor
	again   kernels.Tensor // stats of what is computed again, for no one to read
	state   kernels.Tensor
	swap    *Exchange
}

// mixtureActs are what a mixture's forward leaves for its backward. R rows belong to the experts of this rank: first those that expert-parallel rank 0 sent, by
// expert; H is an expert's width over the tensor-parallel size.
type mixtureActs struct {
	r         kernels.Routing
	logits    kernels.Tensor // (N,E), overwritten by its gradient
	in        runs           // (R,C)
	pre, gelu runs           // (R,H)
	out       runs           // (R,C), as this rank's tokens need them; a summand where tensor-parallel ranks share an expert. Overwritten by its gradient, as the experts need it
}

// mixtureGrads are scratch that all blocks share.
type mixtureGrads struct {
	rows  runs           // (R,C)
	sent  kernels.Tensor // (R,C), only with expert parallelism
	pre   runs           // (R,H)
	gates kernels.Tensor // (N,K)
}

// runs is a tensor of all experts' rows, and its parts: each what one local expert has from one rank.
type runs struct {
	all   kernels.Tensor
	parts []kernels.Tensor
}

func newRuns(h *heap, c Config, width int) runs {
	r := runs{all: h.tensor(c.Precision.Compute, c.rows(), width)}
	if h.err != nil {
		return r
	}
	n := c.rows() / c.Experts.Count
	for i := range c.Experts.Count {
		r.parts = append(r.parts, r.all.Slice(i*n, (i+1)*n))
	}
	return r
}

func newMixtureActs(h *heap, c Config) mixtureActs {
	n, e, k, rows, width := c.all(), c.Experts.Count, c.Experts.TopK, c.rows(), c.hidden()/c.TP
	ct, st := c.Precision.Compute, c.Precision.Stats
	return mixtureActs{
		r: kernels.Routing{
			Group: c.group(), Capacity: c.capacity(),
			Probs: h.tensor(st, n, e), Gates: h.tensor(st, n, k),
			Choices: h.tensor(kernels.I32, n, k), Rows: h.tensor(kernels.I32, n, k), Tokens: h.tensor(kernels.I32, rows),
		},
		logits: h.tensor(ct, n, e), in: newRuns(h, c, c.C), pre: newRuns(h, c, width), gelu: newRuns(h, c, width), out: newRuns(h, c, c.C),
	}
}

func newMixtureGrads(h *heap, c Config) mixtureGrads {
	g := mixtureGrads{rows: newRuns(h, c, c.C)}
	if c.Experts.Ranks > 1 {
		g.sent = h.tensor(c.Precision.Compute, c.rows(), c.C)
	}
	if !c.Forward {
		g.pre = newRuns(h, c, c.hidden()/c.TP)
		g.gates = h.tensor(c.Precision.Stats, c.all(), c.Experts.TopK)
	}
	return g
}

// forward leaves the experts' results of x (N,C) in a.out.
func (m *mixture) forward(s kernels.Stream, x kernels.Tensor, a *mixtureActs, g *mixtureGrads, stats kernels.Tensor) {
	m.router.forward(s, a.logits, x)
	s.RouteForward(a.r, stats, a.logits, m.Groups)
	there, back := a.in.all, a.out
	if m.Ranks > 1 {
		there, back = g.sent, g.rows
	}
	s.Dispatch(there, x, a.r, false)
	m.exchange(s, a.in.all, there)
	for i, gelu := range a.gelu.parts {
		e := i % m.local()
		s.LinearForward(gelu, a.in.parts[i], m.fc[e].w, kernels.Epilogue{Act: kernels.GELU, Aux: a.pre.parts[i]})
		s.LinearForward(back.parts[i], gelu, m.out[e].w, kernels.Epilogue{})
	}
	m.exchange(s, a.out.all, back.all)
}

// leave is out = residual + the gated sum of each token's experts, summed over the tensor-parallel ranks, which each hold a slice of every expert.
func (m *mixture) leave(s kernels.Stream, out, residual kernels.Tensor, a *mixtureActs, tp Region) {
	if tp == nil {
		s.Combine(out, a.out.all, residual, a.r, true)
		return
	}
	s.Combine(tp.Partial(out), a.out.all, kernels.Tensor{}, a.r, true)
	tp.StartSum(s, out, 0, 1)
	tp.EndSum(s, 0)
	s.Add(out, out, kernels.Tensor{}, residual)
}

// backward turns dout (N,C) into dx (S,C), the gradient of the mixture's input x (S,C), and adds to the gradients of the weights. tmp (S,C) is scratch.
func (m *mixture) backward(s kernels.Stream, c Config, dx, tmp, dout, x kernels.Tensor, a *mixtureActs, g *mixtureGrads, tp Region, hooks Hooks) {
	m.gateGrads(s, dout, a, g, tp)
	prefetch(s, x, tp)
	m.enter(s, dx, dout, a, g, tp)
	m.grad(s, g.pre, fetched(s, x, tp), a, hooks)
	m.endEnter(s, c, dx, tmp, a, tp)
}

// backwardInput is backward without the gradients of the weights. It leaves a with what backwardWeight starts from, in the place of what nothing needs any more.
func (m *mixture) backwardInput(s kernels.Stream, c Config, dx, tmp, dout kernels.Tensor, a *mixtureActs, g *mixtureGrads, tp Region) {
	m.gateGrads(s, dout, a, g, tp)
	m.enter(s, dx, dout, a, g, tp)
	a.pre, g.pre = g.pre, a.pre
	m.endEnter(s, c, dx, tmp, a, tp)
}

// backwardWeight follows backwardInput. x (N,C) is the mixture's input.
func (m *mixture) backwardWeight(s kernels.Stream, x kernels.Tensor, a *mixtureActs, hooks Hooks) {
	m.grad(s, a.pre, x, a, hooks)
}

// gateGrads are the gradients of the gates, of which each tensor-parallel rank has a summand.
func (m *mixture) gateGrads(s kernels.Stream, dout kernels.Tensor, a *mixtureActs, g *mixtureGrads, tp Region) {
	s.GateBackward(g.gates, dout, a.out.all, a.r)
	if tp != nil {
		tp.SumWhole(s, g.gates)
	}
}

// enter starts the sum of dx, the gradient through the experts. It leaves the gradients of the experts' results in a.out, those in front of GELU in g.pre, and those of the
// logits in a.logits.
func (m *mixture) enter(s kernels.Stream, dx, dout kernels.Tensor, a *mixtureActs, g *mixtureGrads, tp Region) {
	there, back := a.out.all, g.rows.all
	if m.Ranks > 1 {
		there, back = g.sent, g.sent
	}
	s.Dispatch(there, dout, a.r, true)
	m.exchange(s, a.out.all, there)
	for i, pre := range g.pre.parts {
		e := i % m.local()
		s.LinearBackwardInput(pre, a.out.parts[i], m.out[e].w, kernels.Epilogue{Act: kernels.GELU, Aux: a.pre.parts[i]})
		s.LinearBackwardInput(g.rows.parts[i], pre, m.fc[e].w, kernels.Epilogue{})
	}
	m.exchange(s, back, g.rows.all)
	if tp == nil {
		s.Combine(dx, back, kernels.Tensor{}, a.r, false)
	} else {
		s.Combine(tp.Partial(dx), back, kernels.Tensor{}, a.r, false)
		tp.StartSum(s, dx, 0, 1)
	}
	s.RouteBackward(a.logits, g.gates, a.r, BalanceWeight, m.Groups, m.state)
}

// grad adds to the gradients of the experts' weights and the router's. pre (R,H) are the gradients in front of GELU, x (N,C) is the mixture's input.
func (m *mixture) grad(s kernels.Stream, pre runs, x kernels.Tensor, a *mixtureActs, hooks Hooks) {
	for i, out := range a.out.parts {
		e := i % m.local()
		s.LinearBackwardWeight(m.out[e].dw, kernels.Tensor{}, out, a.gelu.parts[i])
		s.LinearBackwardWeight(m.fc[e].dw, kernels.Tensor{}, pre.parts[i], a.in.parts[i])
	}
	m.router.grad(s, a.logits, x, hooks)
}

// endEnter ends the sum of dx, and adds the gradient through the router.
func (m *mixture) endEnter(s kernels.Stream, c Config, dx, tmp kernels.Tensor, a *mixtureActs, tp Region) {
	n := c.runs()
	for i := range n {
		s.LinearBackwardInput(piece(tmp, i, n, tp), c.own(a.logits, i, tp), m.router.w, kernels.Epilogue{})
	}
	endSum(s, tp)
	s.Add(dx, tmp, kernels.Tensor{}, dx)
}

// exchange swaps rows with the other expert-parallel ranks; with one rank dst is src.
func (m *mixture) exchange(s kernels.Stream, dst, src kernels.Tensor) {
	if m.Ranks > 1 {
		(*m.swap).AllToAll(s, dst, src)
	}
}
