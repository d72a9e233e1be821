package cuda

import (
	"fmt"

	"ofpeak/kernels"
)

func (s *stream) AdamW(a kernels.AdamWArgs) {
	kernels.CheckAdamW(a)
	t := a.Master.DType()
	if !a.Param.None() {
		t = a.Param.DType()
	}
	if !s.supported(kernels.OpAdamW, t, kernels.Dense) {
		return
	}
	s.dev.written(a.Param)
	s.dev.written(a.Master)
	n := a.Master.Size()
	s.launch("adamw", "adamw_"+suffix(t), s.over(n), a.Param, a.Master, a.Grad, a.M, a.V, a.State, a.LR, a.Beta1, a.Beta2, a.Eps, a.WeightDecay, n)
}

func (s *stream) FindNonFinite(state, x kernels.Tensor) {
	kernels.CheckFindNonFinite(state, x)
	if suffix(x.DType()) == "" {
		s.fail(fmt.Errorf("%w: FindNonFinite of %s on CUDA", kernels.ErrUnsupported, x.DType()))
		return
	}
	s.launch("adamw", "find_"+suffix(x.DType()), s.over(x.Size()), state, x, x.Size())
}

func (s *stream) UpdateScale(state kernels.Tensor, dynamic bool) {
	kernels.CheckUpdateScale(state)
	if state.DType() != kernels.F32 {
		s.fail(fmt.Errorf("%w: UpdateScale of %s on CUDA", kernels.ErrUnsupported, state.DType()))
		return
	}
	s.launch("adamw", "update_scale", shape{gridX: 1, threads: 32}, state, dynamic, float32(kernels.ScaleWindow), float32(kernels.MaxScale))
}
