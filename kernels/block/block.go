package block

import "ofpeak/kernels"

// transformer is one pre-LN block: x + attention(norm(x)), then the same with a GELU MLP of width 4C (Xiong et al., "On Layer
// Normalization in the Transformer Architecture", arXiv:2002.04745, figure 1b).
type transformer struct {
	ln1  norm
	qkv  linear // column-parallel: each rank holds some heads
	proj linear // row-parallel
	ln2  norm
	fc   linear // column-parallel
	out  linear // row-parallel
	ring *Ring  // of the stage; nil there: one rank holds all positions

	moe *mixture // in place of fc and out, if there are experts
}

// blockActs are what a block's forward leaves for its backward. B and T are Config.Grid's, N = B·T; P is C over the tensor-parallel size; S is N, or with Config.Sequence N over that
// size.
type blockActs struct {
	in           kernels.Tensor // (S,C), the layer below's out
	ln1, ln2     kernels.Tensor // (S,C)
	mean1, rstd1 kernels.Tensor // (S)
	mean2, rstd2 kernels.Tensor // (S)
	qkv          kernels.Tensor // (B,T,3,NH/TP,HS)
	qkvRows      kernels.Tensor // the same memory as (N,3P)
	lse          kernels.Tensor // (B,NH/TP,T)
	att          kernels.Tensor // (B,T,NH/TP,HS)
	attRows      kernels.Tensor // the same memory as (N,P)
	res          kernels.Tensor // (S,C), after attention
	pre, gelu    kernels.Tensor // (N,4P), before and after GELU
	mixture      mixtureActs    // in their place, if there are experts
	out          kernels.Tensor // (S,C)
}

// blockGrads are a block's activation gradients, shared by all blocks of a stage, since one block runs at a time.
type blockGrads struct {
	norm             kernels.Tensor // (S,C)
	res              kernels.Tensor // (S,C)
	qkv, att         kernels.Tensor // as in blockActs
	qkvRows, attRows kernels.Tensor
	pre              kernels.Tensor // (N,4P)
	mixture          mixtureGrads
	rows             kernels.Tensor // (B,NH/TP,T), scratch of the attention
}

func (t *transformer) forward(s kernels.Stream, a *blockActs, g *blockGrads, tp Region) {
	t.inside(s, a, g, tp, false)
	if t.moe != nil {
		t.moe.leave(s, a.out, a.res, &a.mixture, tp)
		return
	}
	t.out.leave(s, a.out, a.gelu, a.res, tp)
}

// inside computes from a.in all that the backward pass needs, which is everything but a.out. again says that the forward pass has done so before.
func (t *transformer) inside(s kernels.Stream, a *blockActs, g *blockGrads, tp Region, again bool) {
	s.LayerNormForward(a.ln1, a.mean1, a.rstd1, a.in, t.ln1.gain, t.ln1.bias)
	t.qkv.spread(s, a.qkvRows, a.ln1, kernels.Epilogue{Bias: t.qkv.b}, tp)
	t.attend(s, a)
	t.proj.leave(s, a.res, a.attRows, a.in, tp)
	s.LayerNormForward(a.ln2, a.mean2, a.rstd2, a.res, t.ln2.gain, t.ln2.bias)
	if t.moe != nil {
		stats := t.moe.stats
		if again {
			stats = t.moe.again
		}
		t.moe.forward(s, whole(s, a.ln2, tp), &a.mixture, &g.mixture, stats)
		return
	}
	t.fc.spread(s, a.gelu, a.ln2, kernels.Epilogue{Bias: t.fc.b, Act: kernels.GELU, Aux: a.pre}, tp)
}

// backward turns d, the gradient of a.out, into the gradient of a.in, in place. The gradients of inputs come first, so that tensor-parallel ranks sum them while they compute those
// of weights (Shoeybi et al., arXiv:1909.08053, in its published code; Korthikanti et al., arXiv:2205.05198, section 4.2.2).
func (t *transformer) backward(s kernels.Stream, c Config, d kernels.Tensor, a *blockActs, g *blockGrads, tp Region, hooks Hooks) {
	dout := whole(s, d, tp)
	if t.moe != nil {
		t.moe.backward(s, c, g.norm, g.res, dout, a.ln2, &a.mixture, &g.mixture, tp, hooks)
	} else {
		prefetch(s, a.ln2, tp)
		s.LinearBackwardInput(g.pre, dout, t.out.w, kernels.Epilogue{Act: kernels.GELU, Aux: a.pre})
		t.fc.enter(s, g.norm, g.pre, tp)
		t.out.grad(s, dout, a.gelu, hooks)
		t.fc.grad(s, g.pre, fetched(s, a.ln2, tp), hooks)
		endSum(s, tp)
	}
	t.ln2.backward(s, g.res, g.norm, a.res, a.mean2, a.rstd2, d, hooks)

	dres := whole(s, g.res, tp)
	prefetch(s, a.ln1, tp)
	s.LinearBackwardInput(g.attRows, dres, t.proj.w, kernels.Epilogue{})
	t.attendBackward(s, a, g)
	t.qkv.enter(s, g.norm, g.qkvRows, tp)
	t.proj.grad(s, dres, a.attRows, hooks)
	t.qkv.grad(s, g.qkvRows, fetched(s, a.ln1, tp), hooks)
	endSum(s, tp)
	t.ln1.backward(s, d, g.norm, a.in, a.mean1, a.rstd1, g.res, hooks)
}
