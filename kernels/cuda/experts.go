package cuda

import "ofpeak/kernels"

func (s *stream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	kernels.CheckRouteForward(r, stats, logits, groups)
	t := logits.DType()
	if !s.supported(kernels.OpExperts, t, kernels.Dense) {
		return
	}
	n, e, k, _ := r.Sizes()
	own := n / r.Group
	blocks := min(own, maxParts/2) // each leaves two parts
	s.launch("experts", "choose_"+suffix(t), s.over(32*n), r.Probs, r.Gates, r.Choices, logits, n, e, k)
	s.launch("experts", "place_choices", shape{gridX: blocks, threads: warpsFor(e)}, r.Rows, r.Tokens, s.scratch, r.Probs, r.Choices,
		own, r.Group, r.Capacity, e, k, float32(1/float64(groups)))
	s.launch("experts", "add_routes", shape{gridX: 1, threads: threads}, stats, s.scratch, blocks, float32(n*k))
}

func (s *stream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	kernels.CheckRouteBackward(dlogits, dgates, r, groups, state)
	t := dlogits.DType()
	if !s.supported(kernels.OpExperts, t, kernels.Dense) {
		return
	}
	n, e, k, _ := r.Sizes()
	own, group := n/r.Group, float64(r.Group)
	s.launch("experts", "route_backward_"+suffix(t), shape{gridX: min(own, maxParts), threads: threads, shared: 4 * e}, dlogits, dgates, r.Probs, r.Gates, r.Choices, state,
		float32(weight*float64(e)/group/group/float64(groups)), own, r.Group, e, k)
}

func (s *stream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckDispatch(out, x, r)
	if !s.supported(kernels.OpExperts, x.DType(), kernels.Dense) {
		return
	}
	_, _, k, rows := r.Sizes()
	s.rows("dispatch_", shape{gridX: rows, threads: rowThreads(x.Dim(-1))}, []any{r.Tokens, gatesOf(r, weighted), k, x.Dim(-1)}, out, x)
}

func (s *stream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckCombine(out, y, residual, r)
	if !s.supported(kernels.OpExperts, out.DType(), kernels.Dense) {
		return
	}
	n, _, k, _ := r.Sizes()
	s.rows("combine_", shape{gridX: n, threads: rowThreads(out.Dim(-1))}, []any{r.Rows, gatesOf(r, weighted), k, out.Dim(-1)}, out, y, residual)
}

func (s *stream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	kernels.CheckGateBackward(dgates, dout, y, r)
	if !s.supported(kernels.OpExperts, dout.DType(), kernels.Dense) {
		return
	}
	n, _, k, _ := r.Sizes()
	t, c := dout.DType(), dout.Dim(-1)
	s.launch("experts", "gate_backward_"+suffix(t)+packed(c, dout, y), s.over(32*n*k), dgates, dout, y, r.Rows, n*k, k, c)
}

// rows launches a kernel over rows of c elements, the last of its further arguments.
func (s *stream) rows(name string, sh shape, further []any, ts ...kernels.Tensor) {
	args := make([]any, 0, len(ts)+len(further))
	for _, t := range ts {
		args = append(args, t)
	}
	c := further[len(further)-1].(int)
	s.launch("experts", name+suffix(ts[0].DType())+packed(c, ts...), sh, append(args, further...)...)
}

// packed is the suffix of the kernel that takes 16 bytes of a row at a time, where all rows lie so.
func packed(c int, ts ...kernels.Tensor) string {
	pack := 16 / ts[0].DType().Size()
	if c%pack == 0 && aligned(pack, ts...) {
		return "_packed"
	}
	return ""
}

// gatesOf is the gates where they count.
func gatesOf(r kernels.Routing, weighted bool) kernels.Tensor {
	if weighted {
		return r.Gates
	}
	return kernels.Tensor{}
}

// warpsFor is the size of a block of a warp for each of n, at most 8.
func warpsFor(n int) int { return 32 * min(n, threads/32) }
