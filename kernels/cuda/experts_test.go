package cuda

import (
	"testing"

	"ofpeak/kernels"
)

// There are more groups of tokens than blocks, so that blocks take several in turn.
func TestRoutesOfManyGroups(t *testing.T) {
	const groups, group, e, k, capacity = maxParts + 76, 3, 3, 2, 1
	const n = groups * group
	b := newBench(t, 1)
	zeros := func(dt kernels.DType, shape ...int) both { return b.make(dt, 0, shape...) }
	logits, dgates := b.make(kernels.F32, 1, n, e), b.make(kernels.F32, 1, n, k)
	dlogits, stats, state := zeros(kernels.F32, n, e), zeros(kernels.F32, kernels.RouteLen), b.make(kernels.F32, 1, kernels.StateLen)
	probs, gates := zeros(kernels.F32, n, e), zeros(kernels.F32, n, k)
	choices, rows, tokens := zeros(kernels.I32, n, k), zeros(kernels.I32, n, k), zeros(kernels.I32, e*groups*capacity)
	run := func(s kernels.Stream, pick func(both) kernels.Tensor) {
		r := kernels.Routing{Group: group, Capacity: capacity, Probs: pick(probs), Gates: pick(gates), Choices: pick(choices), Rows: pick(rows), Tokens: pick(tokens)}
		s.RouteForward(r, pick(stats), pick(logits), groups)
		s.RouteBackward(pick(dlogits), pick(dgates), r, 1000, groups, pick(state)) // a balance that weighs as much as the gates
	}
	run(b.s, func(o both) kernels.Tensor { return o.gpu })
	run(b.exact, func(o both) kernels.Tensor { return o.truth })
	b.near("stats", stats, kernels.F32, n)
	for name, o := range map[string]both{"probs": probs, "gates": gates, "choices": choices, "rows": rows, "tokens": tokens, "dlogits": dlogits} {
		b.near(name, o, kernels.F32, e)
	}
}
