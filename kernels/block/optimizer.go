package block

import "ofpeak/kernels"

// Hyper are AdamW's settings; weight decay applies to every parameter.
type Hyper struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
}

// DefaultHyper are GPT-2-like settings (Radford et al. 2019; Brown et al., arXiv:2005.14165, appendix B).
var DefaultHyper = Hyper{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1}

// ZeroGrads clears gradients and loss before the first microbatch of a step.
func (st *Stage) ZeroGrads(s kernels.Stream) {
	s.Fill(st.Loss, 0)
	st.ZeroRoutes(s)
	if st.size > 0 {
		s.Fill(st.Grads, 0)
	}
}

// ZeroRoutes clears the routing statistics.
func (st *Stage) ZeroRoutes(s kernels.Stream) {
	if !st.Routes.None() {
		s.Fill(st.Routes, 0)
	}
}

// CheckGrads marks an overflow in State where the precision scales its loss. Ranks that share a model then sum their StateFound.
func (st *Stage) CheckGrads(s kernels.Stream) {
	if st.Precision.ScaleLoss && st.size > 0 {
		s.FindNonFinite(st.State, st.Grads)
	}
}

// Update is one AdamW step on the range lo to hi of parameters that are not spread.
func (st *Stage) Update(s kernels.Stream, h Hyper, lo, hi int) {
	if lo < hi {
		part := st.Whole()
		part.Range = Range{lo, hi}
		s.AdamW(st.UpdateArgs(h, part))
	}
}

// UpdateArgs are the operands of an AdamW step on this rank's part of a bucket that is not empty.
func (st *Stage) UpdateArgs(h Hyper, bucket Segment) kernels.AdamWArgs {
	own := func(arena kernels.Tensor) kernels.Tensor { return st.Own(arena, bucket) }
	a := kernels.AdamWArgs{
		Master: own(st.Master), Grad: own(st.Grads), M: own(st.M), V: own(st.V),
		State: st.State, LR: h.LR, Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Eps, WeightDecay: h.WeightDecay,
	}
	if st.separate() {
		a.Param = own(st.Weights)
	}
	return a
}

// EndStep counts the step and adapts the loss scale.
func (st *Stage) EndStep(s kernels.Stream) { s.UpdateScale(st.State, st.Precision.ScaleLoss) }
