package block

import "ofpeak/kernels"

// CostVersion names the formulas below. Results that differ in it are not compared.
const CostVersion = "v1"

// FLOPs counts floating-point (or integer) operations by the type of a product's operands; a multiply-add is two.
type FLOPs [kernels.DTypes]float64

// Total is the FLOPs of all types.
func (f FLOPs) Total() float64 {
	sum := 0.0
	for _, n := range f {
		sum += n
	}
	return sum
}

// Plus is the sum of two counts.
func (f FLOPs) Plus(g FLOPs) FLOPs {
	for t := range f {
		f[t] += g[t]
	}
	return f
}

// Times is the count of n such works.
func (f FLOPs) Times(n float64) FLOPs {
	for t := range f {
		f[t] *= n
	}
	return f
}

// Work is what a pass computes. Only matrix products count; norms, activations, softmax, embeddings and the optimizer do not (the convention
// of Chowdhery et al., "PaLM", arXiv:2204.02311, appendix B). Attention counts the T(T+1)/2 pairs that causality leaves, of which
// each context-parallel rank has its even share.
type Work struct {
	// Model is what the model needs: stored weights only, nothing twice. It gives MFU.
	Model FLOPs
	// Dense is what the same model with dense weights would need.
	Dense FLOPs
	// Executed is what runs: Model, in the backward pass QKᵀ once more (Dao, arXiv:2307.08691, section 2.3), and with Recompute all of a
	// block's forward pass but its last product. It gives HFU.
	Executed FLOPs
}

// Plus is the sum of two works.
func (w Work) Plus(v Work) Work {
	return Work{w.Model.Plus(v.Model), w.Dense.Plus(v.Dense), w.Executed.Plus(v.Executed)}
}

// Times is n such works.
func (w Work) Times(n float64) Work {
	return Work{w.Model.Times(n), w.Dense.Times(n), w.Executed.Times(n)}
}

// LayerCost is what a layer costs on one rank: work for one microbatch, and memory in bytes.
type LayerCost struct {
	Kind              LayerKind
	Forward, Backward Work

	Weights   int64 // as computed with: values, positions, scales
	Grads     int64
	Optimizer int64 // moments, and the master copy where there is one
	Acts      int64 // of one microbatch
}

// Costs are the layers of a stage, Lo to Hi. With TP and CP 1 and the global batch they are the whole model's, whatever the strategy.
func (c Config) Costs() []LayerCost {
	c = c.normal()
	var costs []LayerCost
	kinds := c.Layers()
	for _, i := range c.held() {
		l := LayerCost{Kind: kinds[i]}
		c.addWork(&l)
		c.addParams(&l, i)
		l.Acts = c.actBytes(kinds[i])
		costs = append(costs, l)
	}
	return costs
}

// TotalWork is the work of one step of a stage: one microbatch's forward pass, and its backward pass unless the config is Forward.
func (c Config) TotalWork() Work {
	var sum Work
	for _, l := range c.Costs() {
		sum = sum.Plus(l.Forward).Plus(l.Backward)
	}
	return sum
}

func (c Config) addWork(l *LayerCost) {
	n := float64(c.all())
	switch l.Kind {
	case Block:
		matrices := c.matrices()
		dense := matrices[:]
		if c.Experts.Count > 0 {
			dense = dense[:2]
			c.addExperts(l)
		}
		for _, m := range dense {
			c.product(l, c.Precision.Factors(), 2*n*float64(m[0])*float64(m[1]), c.Layout.Density(m[1]))
		}
		pairs := float64(c.Batch) * float64(c.T) * float64(c.T+1) / 2 / float64(c.CP)
		c.attention(l, 2*pairs*float64(c.C/c.TP))
		if c.Recompute {
			again := l.Forward.Executed
			if c.Experts.Count == 0 {
				last := c.matrices()[3]
				again[c.Precision.Factors()] -= 2 * n * float64(last[0]) * float64(last[1]) * c.Layout.Density(last[1])
			}
			l.Backward.Executed = l.Backward.Executed.Plus(again)
		}
	case LMHead:
		c.product(l, c.Precision.Head().Factors(), 2*n*float64(c.V)*float64(c.C), 1)
	}
}

// product adds x·Wᵀ, and for the backward pass dout·W and doutᵀ·x.
func (c Config) product(l *LayerCost, t kernels.DType, flops, density float64) {
	add := func(w *Work, times float64) {
		w.Model[t] += times * flops * density
		w.Dense[t] += times * flops
		w.Executed[t] += times * flops * density
	}
	add(&l.Forward, 1)
	if !c.Forward {
		add(&l.Backward, 2)
	}
}

// addExperts adds the router's product and the experts'. The model needs the stored weights of TopK experts a token, its dense twin all weights of all; what runs are the experts' whole
// capacity, full or not.
func (c Config) addExperts(l *LayerCost) {
	n, t := float64(c.all()), c.Precision.Factors()
	c.product(l, c.Precision.Compute, 2*n*float64(c.C*c.Experts.Count), 1)
	matrices := c.matrices()
	dense, stored := 0.0, 0.0 // of a token in one expert
	for _, m := range matrices[2:] {
		flops := 2 * float64(m[0]*m[1])
		dense, stored = dense+flops, stored+flops*c.Layout.Density(m[1])
	}
	add := func(w *Work, times float64) {
		w.Model[t] += times * stored * n * float64(c.Experts.TopK)
		w.Dense[t] += times * dense * n * float64(c.Experts.Count)
		w.Executed[t] += times * stored * float64(c.rows())
	}
	add(&l.Forward, 1)
	if !c.Forward {
		add(&l.Backward, 2)
	}
}

// attention adds QKᵀ and PV, each of so many FLOPs; for the backward pass dV = Pᵀ·dO, dP = dO·Vᵀ, dQ = dS·K, dK = dSᵀ·Q and, executed only, QKᵀ.
func (c Config) attention(l *LayerCost, flops float64) {
	add := func(w *Work, model, executed float64) {
		t := c.Precision.Compute
		w.Model[t] += model * flops
		w.Dense[t] += model * flops
		w.Executed[t] += executed * flops
	}
	add(&l.Forward, 2, 2)
	if !c.Forward {
		add(&l.Backward, 4, 5)
	}
}

func (c Config) addParams(l *LayerCost, layer int) {
	one := c
	one.Chunks = []Range{{layer, layer + 1}}
	p := c.Precision
	params, layers := layout(one)
	for _, w := range params {
		if w.sparse {
			count, t := c.Layout.MetaLen(w.OC, w.C)
			l.Weights += int64(count * t.Size())
			if c.Layout.Format == kernels.Int8 {
				l.Weights += int64(w.OC*w.C*kernels.I8.Size() + w.OC*kernels.F32.Size())
			}
		}
	}
	held := func(level int) int64 { // elements on this rank of what is spread from a level on
		return int64(elements(layers[0], c.Shards.Level >= level))
	}
	l.Weights += held(3) * int64(p.Compute.Size())
	if c.Forward {
		return
	}
	l.Grads = held(2) * int64(p.Stats.Size())
	l.Optimizer = 2 * held(1) * int64(p.Master.Size())
	if p.Master != p.Compute {
		l.Optimizer += held(1) * int64(p.Master.Size())
	}
}

// StateBytes is what ZeRO's formula (Rajbhandari et al., arXiv:1910.02054, figure 1) gives a rank for a stage's weights, gradients and optimizer state in training: the
// bytes of each stored value, or of the equal part of it that each rank of its group keeps. Padding, slots, what lies outside of the arenas and activations come on top.
func (c Config) StateBytes() float64 {
	c = c.normal()
	p := c.Precision
	weight, gradient, optimizer := float64(p.Compute.Size()), float64(p.Stats.Size()), float64(2*p.Master.Size())
	if p.Master != p.Compute {
		optimizer += float64(p.Master.Size())
	}
	kept := func(bytes float64, level, ranks int) float64 {
		if c.Shards.Level >= level {
			return bytes / float64(ranks)
		}
		return bytes
	}
	params, _ := layout(c)
	sum := 0.0
	for _, w := range params {
		n := c.owners(w).Ranks
		sum += float64(w.Len) * (kept(optimizer, 1, n) + kept(gradient, 2, n) + kept(weight, 3, n))
	}
	return sum
}

// SlotBytes is what a stage takes to hold layers in turn whose gradients or weights are spread over ranks.
func (c Config) SlotBytes() int64 {
	c = c.normal()
	_, layers := layout(c)
	largest := slotSizes(layers)
	n := int64(largest[0] + largest[1])
	switch c.Shards.Level {
	case 3:
		return n * int64(c.Precision.Stats.Size()+c.Precision.Compute.Size())
	case 2:
		return n * int64(c.Precision.Stats.Size())
	}
	return 0
}

// PartialBytes bounds what it takes to sum a stage's Partials in one call.
func (c Config) PartialBytes() int64 {
	c = c.normal()
	if !c.Sequence || c.Forward {
		return 0
	}
	params, _ := layout(c)
	n := 0
	for _, p := range params {
		if p.partial {
			n += p.Len
		}
	}
	return int64(n * c.Precision.Stats.Size())
}

// actBytes is what a layer adds to Acts; a stage's input is counted apart.
func (c Config) actBytes(kind LayerKind) int64 {
	n, own := int64(c.all()), int64(c.tokens())
	ct, st := int64(c.Precision.Compute.Size()), int64(c.Precision.Stats.Size())
	cc := int64(c.C)
	switch kind {
	case Embedding:
		return n * int64(kernels.I32.Size())
	case Block:
		if c.Recompute {
			return own * cc * ct
		}
		return own*cc*ct + c.insideBytes()
	case MSEHead:
		return own * cc * ct
	}
	bytes := own*(cc*ct+2*st) + n*(int64(c.V)*ct+int64(kernels.I32.Size()))
	if !c.Forward {
		bytes += n * cc * ct
	}
	return bytes
}

// DataBytes is the part of a layer's activations that is a microbatch of the model's data: the embedding's tokens, or a head's targets.
func (c Config) DataBytes(kind LayerKind) int64 {
	c = c.normal()
	switch kind {
	case Block:
		return 0
	case MSEHead:
		return c.InputBytes()
	}
	return int64(c.all() * kernels.I32.Size())
}

// insideBytes are a block's activations but for its input and output.
func (c Config) insideBytes() int64 {
	n, own, cc, p := int64(c.all()), int64(c.tokens()), int64(c.C), int64(c.C/c.TP)
	mlp := n * 8 * p * int64(c.Precision.Compute.Size())
	if c.Experts.Count > 0 {
		mlp = c.mixtureBytes()
	}
	return mlp + (own*3*cc+n*4*p)*int64(c.Precision.Compute.Size()) + (4*own+c.rowStats())*int64(c.Precision.Stats.Size())
}

// mixtureBytes are the activations of a block's router and experts.
func (c Config) mixtureBytes() int64 {
	n, e, k, rows := int64(c.all()), int64(c.Experts.Count), int64(c.Experts.TopK), int64(c.rows())
	return (n*e+rows*int64(2*c.C+2*c.hidden()/c.TP))*int64(c.Precision.Compute.Size()) +
		n*(e+k)*int64(c.Precision.Stats.Size()) + (2*n*k+rows)*int64(kernels.I32.Size())
}

// mixtureScratch is what the blocks' experts share; the backward pass needs more.
func (c Config) mixtureScratch() int64 {
	ct, rows := int64(c.Precision.Compute.Size()), int64(c.rows())
	bytes := rows * int64(c.C) * ct
	if c.Experts.Ranks > 1 {
		bytes *= 2
	}
	if !c.Forward {
		bytes += rows*int64(c.hidden()/c.TP)*ct + int64(c.all()*c.Experts.TopK*c.Precision.Stats.Size())
	}
	return bytes
}

// InputBytes is a stage's input, or the embedding's output, of one microbatch.
func (c Config) InputBytes() int64 {
	c = c.normal()
	return int64(c.tokens()*c.C) * int64(c.Precision.Compute.Size())
}

// ringBytes is what a ring takes: two places for keys and values, and in training two more for their gradients and one for what is added to these.
func (c Config) ringBytes() int64 {
	if c.CP == 1 {
		return 0
	}
	places := int64(5)
	if c.Forward {
		places = 2
	}
	return places * int64(c.all()) * int64(2*c.C/c.TP) * int64(c.Precision.Compute.Size())
}

// ScratchBytes is what the blocks of a stage share for their backward pass, for the tokens of all tensor-parallel ranks, and for the ring.
func (c Config) ScratchBytes() int64 {
	c = c.normal()
	n, own, cc, p := int64(c.all()), int64(c.tokens()), int64(c.C), int64(c.C/c.TP)
	all := int64(0)
	if c.Sequence {
		all = n * cc * int64(c.Precision.Compute.Size())
	}
	mlp := n * 4 * p * int64(c.Precision.Compute.Size())
	if !c.HasBlocks() {
		return all
	}
	all += c.ringBytes()
	if c.Experts.Count > 0 {
		all, mlp = all+c.mixtureScratch(), 0
	}
	if c.Forward {
		return all
	}
	bytes := all + mlp + (own*2*cc+n*4*p)*int64(c.Precision.Compute.Size()) + c.rowStats()*int64(c.Precision.Stats.Size())
	if c.Recompute {
		bytes += c.insideBytes()
	}
	return bytes
}

// rowStats is the number of attention rows on one rank, N·NH/TP.
func (c Config) rowStats() int64 { return int64(c.all() * c.NH / c.TP) }
