package block

import "ofpeak/kernels"

// The backward pass in two parts: the gradient of the input, and later those of the weights (Qi et al., "Zero Bubble Pipeline Parallelism",
// arXiv:2401.10241, section 2). In between, the microbatch's activations keep what the second part starts from, in the place of what the first
// part needed last, so that a split takes no more memory.

// BackwardInput is Backward without the gradients of matrices and embeddings. BackwardWeight must follow before a is used again.
func (st *Stage) BackwardInput(s kernels.Stream, a *Acts, d kernels.Tensor, tp Region) {
	ch := st.chunks[a.chunk]
	if ch.head {
		st.head.backwardInput(s, st.Config, d, a.Out, &a.head, tp)
	}
	for i := len(a.blocks) - 1; i >= 0; i-- {
		st.blocks[ch.blocks.Lo+i].backwardInput(s, st.Config, d, &a.blocks[i], &st.g, tp)
	}
	if ch.embed {
		s.Copy(a.In, d)
	}
}

// BackwardWeight adds what BackwardInput left out of Grads.
func (st *Stage) BackwardWeight(s kernels.Stream, a *Acts, tp Region, hooks Hooks) {
	ch := st.chunks[a.chunk]
	layer := ch.first + ch.layers
	enter := func() {
		layer--
		if hooks != nil {
			hooks.Gather(layer)
		}
	}
	if ch.head {
		enter()
		st.head.backwardWeight(s, &a.head, tp, hooks)
	} else if ch.mse {
		layer-- // the MSE head has no parameters
	}
	for i := len(a.blocks) - 1; i >= 0; i-- {
		enter()
		st.blocks[ch.blocks.Lo+i].backwardWeight(s, &a.blocks[i], tp, hooks)
	}
	if ch.embed {
		enter()
		st.embed.backward(s, st.Config, whole(s, a.In, tp), a)
		ready(hooks, 0)
	}
}

// backwardInput turns d into the gradient of a.in. It leaves d as it was in a.out, unless experts made that, and trades each scratch tensor that the weights' gradients need
// for an activation of the same shape that nothing needs any more.
func (t *transformer) backwardInput(s kernels.Stream, c Config, d kernels.Tensor, a *blockActs, g *blockGrads, tp Region) {
	if t.moe != nil {
		t.moe.backwardInput(s, c, g.norm, g.res, whole(s, d, tp), &a.mixture, &g.mixture, tp)
	} else {
		s.Copy(a.out, d)
		s.LinearBackwardInput(g.pre, whole(s, d, tp), t.out.w, kernels.Epilogue{Act: kernels.GELU, Aux: a.pre})
		a.pre, g.pre = g.pre, a.pre
		t.fc.enter(s, g.norm, a.pre, tp)
		endSum(s, tp)
	}
	t.ln2.backward(s, g.res, g.norm, a.res, a.mean2, a.rstd2, d, nil)
	a.res, g.res = g.res, a.res

	s.LinearBackwardInput(g.attRows, whole(s, a.res, tp), t.proj.w, kernels.Epilogue{})
	t.attendBackward(s, a, g)
	a.qkv, a.qkvRows, g.qkv, g.qkvRows = g.qkv, g.qkvRows, a.qkv, a.qkvRows
	t.qkv.enter(s, g.norm, a.qkvRows, tp)
	endSum(s, tp)
	t.ln1.backward(s, d, g.norm, a.in, a.mean1, a.rstd1, a.res, nil)
}

// backwardWeight follows backwardInput, which has added the norms' gradients.
func (t *transformer) backwardWeight(s kernels.Stream, a *blockActs, tp Region, hooks Hooks) {
	if t.moe != nil {
		t.moe.backwardWeight(s, whole(s, a.ln2, tp), &a.mixture, hooks)
	} else {
		dout := whole(s, a.out, tp)
		prefetch(s, a.ln2, tp)
		t.out.grad(s, dout, a.gelu, hooks)
		t.fc.grad(s, a.pre, fetched(s, a.ln2, tp), hooks)
	}
	dres := whole(s, a.res, tp)
	prefetch(s, a.ln1, tp)
	t.proj.grad(s, dres, a.attRows, hooks)
	t.qkv.grad(s, a.qkvRows, fetched(s, a.ln1, tp), hooks)
	ready(hooks, t.ln1.off)
}

func (h *lmHead) backwardWeight(s kernels.Stream, a *headActs, tp Region, hooks Hooks) {
	h.out.grad(s, a.logits, whole(s, a.norm, tp), hooks)
	ready(hooks, h.ln.off)
}
