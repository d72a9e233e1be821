package block

import (
	"slices"

	"ofpeak/kernels"
)

// Stage is one rank's part of a model: a range of layers, or a tensor-parallel shard of them, with its parameters, gradients and optimizer state.
type Stage struct {
	Config
	Params []Param

	// Weights, Master, Grads, M and V hold all parameters, each (Size()); see Param.Off. Master is Weights where the precision keeps no second copy.
	// What Shards spreads has this rank's parts of all buckets instead, in the parameters' order.
	Weights, Master, Grads, M, V kernels.Tensor
	// State is the loss-scale state of kernels.UpdateScale; Loss (1) accumulates over microbatches.
	State, Loss kernels.Tensor
	// Routes (kernels.RouteLen) are the routing statistics of all blocks' experts, which accumulate over microbatches.
	Routes kernels.Tensor
	// Exchange connects the expert-parallel ranks, where there are several. The caller sets it.
	Exchange Exchange
	// Ring is the attention between context-parallel ranks, where there are several. The caller sets it.
	Ring Ring

	dev    kernels.Device
	heap   heap
	embed  *embedding
	blocks []transformer
	head   *lmHead
	g      blockGrads
	again  blockActs // of the block in backward, if activations are computed again
	chunks []chunk
	kinds  []LayerKind
	layers [][]Segment // of the parameters, by layer
	size   int

	routesAgain kernels.Tensor // what recomputation counts in vain

	weightSlots, gradSlots slots // of ZeRO-3 and from ZeRO-2 on
}

// chunk is a range of the stage's layers that one pass runs through.
type chunk struct {
	first, layers    int   // of the stage's layers
	blocks           Range // of the stage's blocks
	embed, mse, head bool
}

// Hooks are what a data-parallel strategy does while a stage runs. Layers count from the stage's first.
type Hooks interface {
	// Gather is called before a layer's weights are read and its gradients are added to, forward and backward.
	Gather(layer int)
	// Ready is called, after each matrix and norm, when the backward pass has enqueued the last contribution to all gradients from element
	// from of the arenas on.
	Ready(from int)
}

// New allocates a stage and sets its initial parameters.
func New(dev kernels.Device, s kernels.Stream, cfg Config) (*Stage, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	c := cfg.normal()
	st := &Stage{Config: c, dev: dev, heap: heap{dev: dev}}
	for _, i := range c.held() {
		st.kinds = append(st.kinds, c.Layers()[i])
	}
	st.Params, st.layers = layout(c)
	st.size = elements(slices.Concat(st.layers...), false)
	st.alloc()
	if st.heap.err == nil {
		st.bind()
	}
	if st.heap.err == nil {
		st.heap.err = st.init(s)
	}
	if st.heap.err != nil {
		st.Close()
		return nil, st.heap.err
	}
	return st, nil
}

// Size is the number of elements of the parameter arenas, padding included.
func (st *Stage) Size() int { return st.size }

// Len is the number of layers.
func (st *Stage) Len() int { return len(st.kinds) }

// Last reports whether the stage holds the model's head, and so computes the loss.
func (st *Stage) Last() bool { return st.Hi == st.depth() }

// Close frees the stage's memory.
func (st *Stage) Close() { st.heap.free() }

func (st *Stage) alloc() {
	p, h := st.Precision, &st.heap
	st.Weights = h.tensor(p.Compute, st.shared(3))
	st.Master = st.Weights
	st.State = h.tensor(p.Stats, kernels.StateLen)
	st.Loss = h.tensor(p.Stats, 1)
	if st.Experts.Count > 0 {
		st.Routes, st.routesAgain = h.tensor(p.Stats, kernels.RouteLen), h.tensor(p.Stats, kernels.RouteLen)
		if slices.Contains(st.kinds, Block) {
			st.g.mixture = newMixtureGrads(h, st.Config)
		}
	}
	if st.Forward {
		return
	}
	if p.Master != p.Compute {
		st.Master = h.tensor(p.Master, st.shared(1))
	}
	st.Grads = h.tensor(p.Stats, st.shared(2))
	st.M, st.V = h.tensor(p.Master, st.shared(1)), h.tensor(p.Master, st.shared(1))
	if st.Shards.Level >= 2 {
		st.gradSlots = st.newSlots(p.Stats)
	}
	if st.Shards.Level >= 3 {
		st.weightSlots = st.newSlots(p.Compute)
	}
	for _, k := range st.kinds {
		if k == Block {
			moe := st.g.mixture
			st.g = newBlockGrads(h, st.Config)
			st.g.mixture = moe
			if st.Recompute {
				st.again = newBlockActs(h, st.Config)
			}
			break
		}
	}
}

// Run is one microbatch's forward pass through a's chunk: from a.IDs or a.In to a.Out, and to the logits on the language model's last stage.
func (st *Stage) Run(s kernels.Stream, a *Acts, tp Region, hooks Hooks) {
	gather := func(layer int) {
		if hooks != nil {
			hooks.Gather(layer)
		}
	}
	ch := st.chunks[a.chunk]
	layer := ch.first
	if ch.embed {
		gather(layer)
		st.embed.forward(s, st.Config, a, tp)
		layer++
	}
	if len(a.blocks) > 0 {
		a.blocks[0].in = a.In
	}
	for i := range a.blocks {
		gather(layer)
		st.blocks[ch.blocks.Lo+i].forward(s, &a.blocks[i], &st.g, tp)
		layer++
	}
	if ch.head {
		gather(layer)
		st.head.forward(s, a.Out, &a.head, tp)
	}
}

// AddLoss adds the microbatch's share of the mean loss over count elements (MSE) or tokens (language model) to Loss, and writes what
// Backward starts from: d (S,C) for the MSE head. With Config.Sequence that is the share of this rank's tokens only. d may be absent if no backward pass follows.
func (st *Stage) AddLoss(s kernels.Stream, a *Acts, d kernels.Tensor, count int) {
	switch {
	case st.head == nil:
		s.MSE(st.Loss, d, a.Out, a.Target, count, st.State)
	case st.Forward:
		s.CrossEntropy(st.Loss, kernels.Tensor{}, a.head.logits, a.Target, count, st.State)
	default:
		s.CrossEntropy(st.Loss, a.head.logits, a.head.logits, a.Target, count, st.State)
	}
}

// Backward is one microbatch's backward pass. d (S,C) holds the gradient of a.Out (unless the language model's head is here, which
// starts from its logits) and receives the gradient of a.In; parameter gradients are added to Grads.
func (st *Stage) Backward(s kernels.Stream, a *Acts, d kernels.Tensor, tp Region, hooks Hooks) {
	ch := st.chunks[a.chunk]
	layer := ch.first + ch.layers - 1
	gather := func() {
		if hooks != nil {
			hooks.Gather(layer)
		}
		layer--
	}
	if ch.head {
		gather()
		st.head.backward(s, st.Config, d, a.Out, &a.head, tp, hooks)
	} else if ch.mse {
		layer-- // the MSE head has no parameters
	}
	for i := len(a.blocks) - 1; i >= 0; i-- {
		gather()
		t := &st.blocks[ch.blocks.Lo+i]
		if st.Recompute {
			t.inside(s, &a.blocks[i], &st.g, tp, true)
		}
		t.backward(s, st.Config, d, &a.blocks[i], &st.g, tp, hooks)
	}
	if ch.embed {
		gather()
		st.embed.backward(s, st.Config, whole(s, d, tp), a)
		ready(hooks, 0)
	}
}

func ready(hooks Hooks, from int) {
	if hooks != nil {
		hooks.Ready(from)
	}
}
