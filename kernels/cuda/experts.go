package cuda

import (
	"fmt"

	"ofpeak/kernels"
)

// There are no CUDA kernels for a mixture of experts: Supports says so, and a stream that is asked for one fails.

func (s *stream) noExperts() {
	s.fail(fmt.Errorf("%w: there is no CUDA kernel for %s", kernels.ErrUnsupported, kernels.OpExperts))
}

func (s *stream) RouteForward(r kernels.Routing, stats, logits kernels.Tensor, groups int) {
	kernels.CheckRouteForward(r, stats, logits, groups)
	s.noExperts()
}

func (s *stream) RouteBackward(dlogits, dgates kernels.Tensor, r kernels.Routing, weight float64, groups int, state kernels.Tensor) {
	kernels.CheckRouteBackward(dlogits, dgates, r, groups, state)
	s.noExperts()
}

func (s *stream) Dispatch(out, x kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckDispatch(out, x, r)
	s.noExperts()
}

func (s *stream) Combine(out, y, residual kernels.Tensor, r kernels.Routing, weighted bool) {
	kernels.CheckCombine(out, y, residual, r)
	s.noExperts()
}

func (s *stream) GateBackward(dgates, dout, y kernels.Tensor, r kernels.Routing) {
	kernels.CheckGateBackward(dgates, dout, y, r)
	s.noExperts()
}
