package ref

import (
	"math"

	"ofpeak/kernels"
)

func (s *stream) AdamW(a kernels.AdamWArgs) {
	kernels.CheckAdamW(a)
	state := read(a.State)
	if state[kernels.StateFound] > 0 {
		return
	}
	w, g, m, v := read(a.Master), read(a.Grad), read(a.M), read(a.V)
	t := state[kernels.StateSteps] + 1
	correct1, correct2 := 1-math.Pow(a.Beta1, t), 1-math.Pow(a.Beta2, t)
	for i := range w {
		grad := g[i] / state[kernels.StateScale]
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*grad
		v[i] = a.Beta2*v[i] + (1-a.Beta2)*grad*grad
		w[i] -= a.LR * (m[i]/correct1/(math.Sqrt(v[i]/correct2)+a.Eps) + a.WeightDecay*w[i])
	}
	write(a.Master, w)
	write(a.M, m)
	write(a.V, v)
	if !a.Param.None() {
		write(a.Param, w)
	}
}
