package kernels

// Routing is how the tokens of a mixture of experts are spread over its experts (Shazeer et al., "Outrageously Large Neural Networks",
// arXiv:1701.06538, section 2). Tokens fall into groups of Group consecutive ones. In each group every expert takes at most Capacity tokens, the first choices
// of all before the second, each in the order of the tokens; what finds no room is dropped (Lepikhin et al., "GShard", arXiv:2006.16668, section 2.2
// and algorithm 1). So no group's routing depends on another's, however groups are spread over ranks.
//
// N is the number of tokens, E of experts, K of choices of a token, R = E·N/Group·Capacity of rows, those of an expert together and among them
// those of a group.
type Routing struct {
	Group, Capacity int

	Probs   Tensor // (N,E) of the Stats type: softmax of the router's logits
	Gates   Tensor // (N,K) of the Stats type: the factor of each choice's result, see RouteForward
	Choices Tensor // int32 (N,K): the experts chosen, the most probable first
	Rows    Tensor // int32 (N,K): the row of each choice; -1: dropped
	Tokens  Tensor // int32 (R): what each row holds, as n·K+k; -1: nothing
}

// Routing statistics: a tensor of the Stats type with these elements, which RouteForward adds to.
const (
	RouteBalance = iota // load-balancing loss, mean over the groups: 1 where tokens and probabilities are even, at most E
	RouteDropped        // choices dropped
	RouteChoices        // choices made
	RouteLen
)

// ExpertOps are the operators of a mixture of experts, around the experts' own products.
type ExpertOps interface {
	// RouteForward fills r from the router's logits (N,E): K is 1 or 2. The gate of a single choice is its probability (Fedus et al., "Switch
	// Transformer", arXiv:2101.03961, section 2.1); two choices share 1 by their probabilities (arXiv:2006.16668, algorithm 1). Of equal logits the lower
	// expert goes first. stats (RouteLen) counts, and adds the load-balancing loss E·Σ f·P of each group, divided by groups: f is the share of an
	// expert's first choices and P its mean probability (arXiv:2101.03961, equation 4). groups counts those of the whole batch, over all ranks and microbatches.
	RouteForward(r Routing, stats, logits Tensor, groups int)
	// RouteBackward: dlogits (N,E) = the gradient through gates and probabilities, from dgates (N,K) of the Stats type and from weight times the
	// load-balancing loss, in which f counts as constant, times state[StateScale].
	RouteBackward(dlogits, dgates Tensor, r Routing, weight float64, groups int, state Tensor)
	// Dispatch: out[row,:] = x[token,:], times the gate if weighted; 0 in rows that hold nothing. out (R,C), x (N,C).
	Dispatch(out, x Tensor, r Routing, weighted bool)
	// Combine: out[n,:] = residual[n,:] + Σ_k y[row of choice k,:], each times its gate if weighted; what was dropped adds nothing. out (N,C), y (R,C);
	// residual (N,C) may be absent.
	Combine(out, y, residual Tensor, r Routing, weighted bool)
	// GateBackward: dgates[n,k] = Σ dout[n,:]·y[row of choice k,:], 0 where it was dropped. dgates (N,K) of the Stats type, dout (N,C), y (R,C).
	GateBackward(dgates, dout, y Tensor, r Routing)
}

// Sizes are N, E, K and R.
func (r Routing) Sizes() (n, e, k, rows int) {
	return r.Probs.Dim(0), r.Probs.Dim(1), r.Choices.Dim(1), r.Tokens.Dim(0)
}

// check checks the parts of a routing of operands of type t.
func (r Routing) check(t DType, message string) {
	require(len(r.Probs.Shape) == 2 && len(r.Choices.Shape) == 2 && len(r.Tokens.Shape) == 1, message)
	n, e, k, rows := r.Sizes()
	require(r.Group > 0 && r.Capacity > 0 && n%r.Group == 0 && rows == e*(n/r.Group)*r.Capacity, message)
	require((k == 1 || k == 2) && k <= e && is(r.Choices, n, k) && is(r.Rows, n, k) && is(r.Gates, n, k), message)
	require(typed(I32, r.Choices, r.Rows, r.Tokens) && typed(StatsOf(t), r.Probs, r.Gates), message)
}

// CheckRouteForward checks the operands of ExpertOps.RouteForward.
func CheckRouteForward(r Routing, stats, logits Tensor, groups int) {
	const op = "kernels: RouteForward: "
	require(!logits.None() && isFloat(logits), op+badRank)
	r.check(logits.DType(), op+badRouting)
	n, e, _, _ := r.Sizes()
	require(isMatrix(logits, n, e) && hasSize(RouteLen, stats), op+badShape)
	require(typed(StatsOf(logits.DType()), stats), op+badType)
	require(groups > 0, op+badCount)
}

// CheckRouteBackward checks the operands of ExpertOps.RouteBackward.
func CheckRouteBackward(dlogits, dgates Tensor, r Routing, groups int, state Tensor) {
	const op = "kernels: RouteBackward: "
	require(!dlogits.None() && isFloat(dlogits), op+badRank)
	r.check(dlogits.DType(), op+badRouting)
	n, e, k, _ := r.Sizes()
	require(isMatrix(dlogits, n, e) && is(dgates, n, k) && hasSize(StateLen, state), op+badShape)
	require(typed(StatsOf(dlogits.DType()), dgates, state), op+badType)
	require(groups > 0, op+badCount)
	require(apart(dlogits, dgates, r.Probs, r.Gates, state), op+badOverlap)
}

// CheckDispatch checks the operands of ExpertOps.Dispatch.
func CheckDispatch(out, x Tensor, r Routing) {
	const op = "kernels: Dispatch: "
	n, c := matrix(x, op+badRank)
	r.check(x.DType(), op+badRouting)
	tokens, _, _, rows := r.Sizes()
	require(tokens == n && isMatrix(out, rows, c), op+badShape)
	require(isFloat(x) && typed(x.DType(), out), op+badType)
	require(apart(out, x, r.Gates), op+badOverlap)
}

// CheckCombine checks the operands of ExpertOps.Combine.
func CheckCombine(out, y, residual Tensor, r Routing) {
	const op = "kernels: Combine: "
	n, c := matrix(out, op+badRank)
	r.check(out.DType(), op+badRouting)
	tokens, _, _, rows := r.Sizes()
	require(tokens == n && isMatrix(y, rows, c) && (residual.None() || isMatrix(residual, n, c)), op+badShape)
	require(isFloat(out) && typed(out.DType(), y, residual), op+badType)
	require(apart(out, y, r.Gates) && apartOrSame(out, residual), op+badOverlap)
}

// CheckGateBackward checks the operands of ExpertOps.GateBackward.
func CheckGateBackward(dgates, dout, y Tensor, r Routing) {
	const op = "kernels: GateBackward: "
	n, c := matrix(dout, op+badRank)
	r.check(dout.DType(), op+badRouting)
	tokens, _, k, rows := r.Sizes()
	require(tokens == n && is(dgates, n, k) && isMatrix(y, rows, c), op+badShape)
	require(isFloat(dout) && typed(dout.DType(), y) && typed(StatsOf(dout.DType()), dgates), op+badType)
	require(apart(dgates, dout, y, r.Gates, r.Probs), op+badOverlap)
}
