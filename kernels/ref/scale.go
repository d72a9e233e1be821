package ref

import (
	"math"

	"ofpeak/kernels"
)

func (s *stream) FindNonFinite(state, x kernels.Tensor) {
	kernels.CheckFindNonFinite(state, x)
	for _, v := range read(x) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			st := read(state)
			st[kernels.StateFound] = 1
			write(state, st)
			return
		}
	}
}

func (s *stream) UpdateScale(state kernels.Tensor, dynamic bool) {
	kernels.CheckUpdateScale(state)
	st := read(state)
	if st[kernels.StateFound] > 0 {
		st[kernels.StateSkipped]++
		st[kernels.StateGood] = 0
		if dynamic {
			st[kernels.StateScale] /= 2
		}
	} else {
		st[kernels.StateSteps]++
		st[kernels.StateGood]++
		if dynamic && st[kernels.StateGood] >= kernels.ScaleWindow {
			st[kernels.StateScale] = min(2*st[kernels.StateScale], kernels.MaxScale)
			st[kernels.StateGood] = 0
		}
	}
	st[kernels.StateFound] = 0
	write(state, st)
}
