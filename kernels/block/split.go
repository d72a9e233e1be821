package block

import "ofpeak/kernels"

// The backward pass in two parts: the gradient of the input, and later those of the weights (Qi et al., "Zero Bubble Pipeline Parallelism",
// arXiv:2401.10241, section 2). In between, the microbatch's activations keep what the second part starts from, in the place of what the first
// part needed last, so that a split takes no more memory.

// BackwardInput is Backward without the gradients of matrices and embeddings. BackwardWeight must follow before a is used again.
func (st *Stage) BackwardInput(s kernels.Stream, a *Acts, d kernels.Tensor, tp Region) {
	if st.head != nil {
		st.head.backwardInput(s, d, a.Out, &a.head)
	}
	for i := len(st.blocks) - 1; i >= 0; i-- {
		st.blocks[i].backwardInput(s, d, &a.blocks[i], &st.g, tp)
	}
	if st.embed != nil {
		s.Copy(a.In, d)
	}
}

// BackwardWeight adds what BackwardInput left out of Grads.
func (st *Stage) BackwardWeight(s kernels.Stream, a *Acts, hooks Hooks) {
	layer := len(st.kinds)
	enter := func() {
		layer--
		if hooks != nil {
			hooks.Gather(layer)
		}
	}
	if st.head != nil {
		enter()
		st.head.backwardWeight(s, &a.head, hooks)
	} else if st.Last() {
		layer-- // the MSE head has no parameters
	}
	for i := len(st.blocks) - 1; i >= 0; i-- {
		enter()
		st.blocks[i].backwardWeight(s, &a.blocks[i], hooks)
	}
	if st.embed != nil {
		enter()
		st.embed.backward(s, a.In, a.IDs)
		ready(hooks, 0)
	}
}

// backwardInput turns d into the gradient of a.in. It leaves d as it was in a.out, and trades each scratch tensor that the weights' gradients need
// for an activation of the same shape that nothing needs any more.
func (t *transformer) backwardInput(s kernels.Stream, d kernels.Tensor, a *blockActs, g *blockGrads, tp Region) {
	s.Copy(a.out, d)
	s.LinearBackwardInput(g.pre, d, t.out.w, kernels.Epilogue{Act: kernels.GELU, Aux: a.pre})
	a.pre, g.pre = g.pre, a.pre
	t.fc.enter(s, g.norm, a.pre, tp)
	t.ln2.backward(s, g.res, g.norm, a.res, a.mean2, a.rstd2, d, nil)
	a.res, g.res = g.res, a.res

	s.LinearBackwardInput(g.attRows, a.res, t.proj.w, kernels.Epilogue{})
	s.AttentionBackward(g.qkv, g.rows, g.att, a.att, a.lse, a.qkv)
	a.qkv, a.qkvRows, g.qkv, g.qkvRows = g.qkv, g.qkvRows, a.qkv, a.qkvRows
	t.qkv.enter(s, g.norm, a.qkvRows, tp)
	t.ln1.backward(s, d, g.norm, a.in, a.mean1, a.rstd1, a.res, nil)
}

// backwardWeight follows backwardInput, which has added the norms' gradients.
func (t *transformer) backwardWeight(s kernels.Stream, a *blockActs, hooks Hooks) {
	t.out.grad(s, a.out, a.gelu, hooks)
	t.fc.grad(s, a.pre, a.ln2, hooks)
	t.proj.grad(s, a.res, a.attRows, hooks)
	t.qkv.grad(s, a.qkvRows, a.ln1, hooks)
	ready(hooks, t.ln1.off)
}

func (h *lmHead) backwardInput(s kernels.Stream, d, in kernels.Tensor, a *headActs) {
	s.LinearBackwardInput(a.dnorm, a.logits, h.out.w, kernels.Epilogue{})
	h.ln.backward(s, d, a.dnorm, in, a.mean, a.rstd, kernels.Tensor{}, nil)
}

func (h *lmHead) backwardWeight(s kernels.Stream, a *headActs, hooks Hooks) {
	h.out.grad(s, a.logits, a.norm, hooks)
	ready(hooks, h.ln.off)
}
