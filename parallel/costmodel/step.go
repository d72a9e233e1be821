package costmodel

import (
	"math"

	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/pp"
	"ofpeak/parallel/trainer"
)

// Step is a prediction, in seconds of the rank that ends last.
type Step struct {
	Total     float64
	Compute   float64 // forward and backward passes of all microbatches
	Exposed   float64 // communication that nothing hides
	Bubble    float64 // waiting for other stages
	Optimizer float64
}

// Model predicts the steps of one strategy.
type Model struct {
	t      *Table
	s      parallel.Strategy
	c      block.Config // of a microbatch
	stages []stage
}

// stage is the part of one pipeline rank.
type stage struct {
	chunks    []chunk
	sync      float64 // exposed, behind the last backward pass: gradients, and weights behind the optimizer
	optimizer float64
}

// chunk is one of its passes.
type chunk struct {
	forward, backward Passage
	later             float64 // exposed in the second part of a backward pass in two
	transfer          float64
}

// Passage is one microbatch's pass: what the rank computes, and the communication that is not hidden.
type Passage struct{ Compute, Exposed float64 }

func (p Passage) total() float64 { return p.Compute + p.Exposed }

// New prepares a strategy whose layers the table has. It fails where trainer.Check does.
func New(cfg trainer.Config, s parallel.Strategy, t *Table) (*Model, error) {
	if err := trainer.Check(cfg, s); err != nil {
		return nil, err
	}
	s = s.Normal()
	cuts, err := trainer.Cut(cfg, s)
	if err != nil {
		return nil, err
	}
	m := &Model{t: t, s: s, c: trainer.Microbatch(cfg.Model, s)}
	for rank := range s.PP {
		var st stage
		for i := rank; i < len(cuts)-1; i += s.PP {
			layers := m.layers(block.Range{Lo: cuts[i], Hi: cuts[i+1]})
			st.add(m, layers)
			st.chunks = append(st.chunks, m.chunk(layers))
		}
		m.stages = append(m.stages, st)
	}
	return m, nil
}

// Bound is a time below which the prediction does not lie, without running the schedule.
func (m *Model) Bound() float64 {
	most := 0.0
	for i := range m.stages {
		most = max(most, m.busy(i)+m.stages[i].sync+m.stages[i].optimizer)
	}
	return most
}

// busy is what a rank computes and waits for communication in its passes.
func (m *Model) busy(rank int) float64 {
	sum := 0.0
	for _, c := range m.stages[rank].chunks {
		sum += c.forward.total() + c.backward.total()
	}
	return sum * float64(m.s.Microbatches)
}

// Predict is the step.
func (m *Model) Predict() Step {
	schedule, _ := pp.Named(m.s.Schedule, m.s.Chunks)
	ends := pp.Ends(schedule, m.s.PP, m.s.Microbatches, func(rank, i int) pp.Times {
		c := m.stages[rank].chunks[i]
		weights := c.backward.Compute/2 + c.later // the gradients of inputs and of weights are products of the same size
		return pp.Times{Forward: c.forward.total(), BackwardInput: c.backward.total() - weights, BackwardWeight: weights, Transfer: c.transfer}
	})
	last := Step{}
	for rank, end := range ends {
		st := m.stages[rank]
		step := Step{Total: end + st.sync + st.optimizer, Optimizer: st.optimizer, Exposed: st.sync, Bubble: end - m.busy(rank)}
		for _, c := range st.chunks {
			step.Compute += float64(m.s.Microbatches) * (c.forward.Compute + c.backward.Compute)
			step.Exposed += float64(m.s.Microbatches) * (c.forward.Exposed + c.backward.Exposed)
		}
		if step.Total > last.Total {
			last = step
		}
	}
	return last
}

// layer is what the model needs of one.
type layer struct {
	kind              block.LayerKind
	forward, backward float64 // computing
	attention         float64 // part of its products
	square            float64 // part that a product with a C·C matrix takes; a block's four have 3, 1, 4 and 4 of them
	own               float64 // parameters that only some ranks of Grads hold: experts
	rest              float64 // other parameters, of this tensor-parallel rank
}

// layers are those of a chunk.
func (m *Model) layers(r block.Range) []layer {
	whole := m.c // without what ZeRO leaves out
	whole.Shards, whole.Chunks = block.Shards{}, []block.Range{r}
	plain := whole
	plain.Recompute = false
	without := plain.Costs()
	seqs := float64(m.c.Batch) / float64(m.s.CP)
	var ls []layer
	for i, cost := range whole.Costs() {
		p := m.t.passes(m.s.TP, cost.Kind)
		l := layer{kind: cost.Kind, forward: p.Forward.At(seqs), backward: p.Backward.At(seqs)}
		again := cost.Backward.Executed.Total() - without[i].Backward.Executed.Total()
		l.backward += l.forward * again / max(1, cost.Forward.Executed.Total())
		l.attention = attention(whole) / max(1, cost.Forward.Executed.Total())
		l.square = square(whole) / max(1, cost.Forward.Executed.Total())
		l.rest = float64(cost.Grads) / float64(whole.Precision.Stats.Size())
		ls = append(ls, l)
	}
	m.partExperts(ls, whole)
	return ls
}

// partExperts tells apart the parameters of experts: those that more ranks would share.
func (m *Model) partExperts(ls []layer, whole block.Config) {
	if m.s.EP < 2 {
		return
	}
	whole.Experts.Ranks = 1
	for i, all := range whole.Costs() {
		grads := float64(all.Grads) / float64(whole.Precision.Stats.Size())
		ls[i].own = (grads - ls[i].rest) / float64(m.s.EP-1)
		ls[i].rest -= ls[i].own
	}
}

// chunk is the time of a microbatch's passes through layers.
func (m *Model) chunk(ls []layer) chunk {
	var c chunk
	for _, l := range ls {
		forward, backward := m.inside(l)
		later := m.again(l)
		backward += later
		around, back := m.ring(l)
		forward, backward = forward+around, backward+back
		gather, scatter := 0.0, 0.0
		if m.s.ZeRO >= 3 { // two layers are there from the pass before
			gather = m.gather(l) * max(0, 1-2/float64(len(ls)))
		}
		if m.s.ZeRO >= 2 {
			scatter = m.scatter(l)
		}
		c.forward.Compute += l.forward
		c.forward.Exposed += forward + m.t.exposed(gather, l.forward)
		c.backward.Compute += l.backward
		c.backward.Exposed += backward + m.t.exposed(gather+scatter, l.backward)
		c.later += later
	}
	c.transfer = m.t.call(comm.SendRecv, m.s.PP, float64(m.c.InputBytes()))
	return c
}

// inside is the communication of tensor- and expert-parallel ranks within a layer's passes that the passes wait for. In the backward pass two sums go on beside the weights' gradients,
// half of its computation, and with sequence parallelism two gathers beside the rest; see tp.Aside.
func (m *Model) inside(l layer) (forward, backward float64) {
	if l.kind != block.Block {
		return 0, 0
	}
	size, gather, scatter := float64(m.c.Precision.Compute.Size()), m.cut(comm.AllGather), m.cut(comm.ReduceScatter)
	forward, again := m.spread(l)
	ahead := m.s.Schedule != "zb-h1" && m.s.Aside
	beside := func(t, computing float64) float64 {
		if ahead {
			t = m.t.exposed(t, computing)
		}
		return t
	}
	switch {
	case m.s.Sequence: // see tp.Sequence
		backward = 2*gather + beside(2*(gather+scatter), l.backward)
		if m.s.Schedule == "zb-h1" { // the inputs of the first products are gathered in the second part
			backward -= 2 * gather
		}
	default:
		backward = beside(2*m.t.call(comm.AllReduce, m.s.TP, m.whole()), l.backward/2)
	}
	if m.c.Recompute {
		backward += again
	}
	if e := m.c.Experts; m.s.EP > 1 {
		parts := float64(max(1, e.Parts))
		rows := float64(e.Count*m.c.Batch) * parts / float64(m.s.CP) * math.Ceil(e.Capacity*float64(e.TopK*m.c.T)/parts/float64(e.Count))
		swap := m.t.call(comm.AllToAll, m.s.EP, rows*float64(m.c.C)*size)
		forward, backward = forward+2*swap, backward+2*swap
		if m.c.Recompute {
			backward += 2 * swap
		}
	}
	return forward, backward
}

// cut is the time of a call for a block's input, in pieces of the tokens.
func (m *Model) cut(op comm.Op) float64 {
	n := float64(m.c.Pieces)
	return n * m.t.call(op, m.s.TP, m.whole()/n)
}

// spread is what tensor-parallel ranks wait for of a forward pass, and of that which recomputation repeats: all but the last sum. Of a product's pieces each is summed beside the next, or gathered beside
// the one before, and one of them beside nothing. The experts' half of a block is in one piece.
func (m *Model) spread(l layer) (forward, again float64) {
	n, enter, leave := float64(m.c.Pieces), 0.0, m.cut(comm.AllReduce)
	if m.s.Sequence {
		enter, leave = m.cut(comm.AllGather), m.cut(comm.ReduceScatter)
	}
	beside := func(t, squares float64) float64 {
		return t/n + m.t.exposed(t-t/n, squares*l.square*l.forward*(1-1/n))
	}
	again = beside(enter, 3) + beside(leave, 1)
	if m.c.Experts.Count > 0 {
		if !m.s.Sequence {
			leave = m.t.call(comm.AllReduce, m.s.TP, m.whole())
		}
		return again + enter + leave, again + enter
	}
	again += beside(enter, 4)
	return again + beside(leave, 4), again
}

// again is what the second part of a backward pass in two gathers with sequence parallelism: the inputs of the blocks' first products, and the gradients of their results, which
// the first part had gathered too; of experts it keeps those as they are.
func (m *Model) again(l layer) float64 {
	switch {
	case l.kind != block.Block || !m.s.Sequence || m.s.Schedule != "zb-h1":
		return 0
	case m.c.Experts.Count > 0:
		return 3 * m.cut(comm.AllGather)
	}
	return 4 * m.cut(comm.AllGather)
}

// whole is the bytes of a block's input for all tokens of a microbatch.
func (m *Model) whole() float64 {
	return float64(m.c.Batch*m.c.T) / float64(m.s.CP) * float64(m.c.C) * float64(m.c.Precision.Compute.Size())
}

// attention is the FLOPs of a block's attention in a forward pass: QKᵀ and PV for the pairs that causality leaves.
func attention(c block.Config) float64 {
	pairs := float64(c.Batch) * float64(c.T) * float64(c.T+1) / 2 / float64(max(1, c.CP))
	return 2 * 2 * pairs * float64(c.C/max(1, c.TP))
}

// square is the FLOPs of a block's product with a matrix of C·C weights, of which a tensor-parallel rank has a part.
func square(c block.Config) float64 {
	tokens := float64(c.Batch) * float64(c.T) / float64(max(1, c.CP))
	return 2 * tokens * float64(c.C) * float64(c.C/max(1, c.TP)) * c.Layout.Density(c.C)
}

// ring is what the hops of context-parallel ranks add to a layer's passes, beside whose attention they go on: keys and values forward, both and their gradients one hop
// behind backward, the last of which nothing hides; see cp.Ring.
func (m *Model) ring(l layer) (forward, backward float64) {
	p := m.s.CP
	if l.kind != block.Block || p == 1 {
		return 0, 0
	}
	one := float64(m.c.Batch*m.c.T) / float64(p) * float64(2*m.c.C/m.s.TP) * float64(m.c.Precision.Compute.Size())
	hop := func(bytes float64) float64 { return m.t.call(comm.SendRecv, p, bytes) }
	around := m.t.exposed(float64(p-1)*hop(one), l.attention*l.forward)
	forward, backward = around, m.t.exposed(2*hop(one)+float64(p-2)*hop(2*one), l.attention*l.backward)+hop(one)
	if m.c.Recompute {
		backward += around
	}
	return forward, backward
}

// buckets is the time of a collective for some parameters, in calls of a bucket each.
func (m *Model) buckets(op comm.Op, ranks int, params float64, bytes int) float64 {
	if params == 0 {
		return 0
	}
	size := float64(m.c.Precision.Stats.Size())
	each := max(1, float64(m.s.BucketBytes)/size)
	calls := max(1, params/each)
	return calls * m.t.call(op, ranks, params/calls*float64(bytes))
}

// all is the time of a collective for a layer's parameters, each between the ranks that hold it alike.
func (m *Model) all(op comm.Op, l layer, bytes int) float64 {
	same := m.s.DP * m.s.CP
	return m.buckets(op, same*m.s.EP, l.rest, bytes) + m.buckets(op, same, l.own, bytes)
}

func (m *Model) gather(l layer) float64 {
	return m.all(comm.AllGather, l, m.c.Precision.Compute.Size())
}

func (m *Model) scatter(l layer) float64 {
	return m.all(comm.ReduceScatter, l, m.c.Precision.Stats.Size())
}

// add counts a chunk's layers into what happens once a step: the sum of the gradients, beside the last microbatch's backward pass, and the optimizer.
func (st *stage) add(m *Model, ls []layer) {
	sums, beside, params, weights := 0.0, 0.0, 0.0, 0.0
	for _, l := range ls {
		beside += l.backward
		params += m.updated(l)
		weights += m.gather(l)
		switch m.s.ZeRO {
		case 0:
			sums += m.all(comm.AllReduce, l, m.c.Precision.Stats.Size())
		case 1:
			sums += m.scatter(l)
		}
	}
	st.sync += m.t.exposed(sums, beside)
	switch m.s.ZeRO {
	case 1, 2:
		st.sync += weights
	case 3:
		st.sync += weights * min(1, 2/float64(len(ls))) // before the first pass
	}
	st.optimizer += m.t.Update * params
}

// updated is the number of a layer's parameters that the rank's optimizer has.
func (m *Model) updated(l layer) float64 {
	if m.s.ZeRO == 0 {
		return l.own + l.rest
	}
	same := float64(m.s.DP * m.s.CP)
	return l.own/same + l.rest/(same*float64(m.s.EP))
}
