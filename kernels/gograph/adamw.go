package gograph

import (
	"math"

	G "gorgonia.org/gorgonia"

	"ofpeak/kernels/block"
)

// moments are one parameter's optimizer state.
type moments struct{ m, v []float64 }

// Step is one training step: Run, and AdamW on every parameter by the formula of kernels.AdamWArgs. Gorgonia's own AdamSolver has no decoupled weight
// decay.
func (e *Engine) Step(h block.Hyper) (loss float64, err error) {
	loss, err = e.Run()
	if err != nil {
		return 0, err
	}
	e.steps++
	for _, name := range e.b.names {
		for i, n := range e.b.params[name] {
			o := e.opt[n]
			if o == nil {
				size := n.Shape().TotalSize()
				o = &moments{make([]float64, size), make([]float64, size)}
				e.opt[n] = o
			}
			o.update(n.Value(), e.grads[name][i], h, e.steps)
		}
	}
	return loss, nil
}

func (o *moments) update(param, grad G.Value, h block.Hyper, t int) {
	switch w := param.Data().(type) {
	case []float32:
		adamW(w, grad.Data().([]float32), o, h, t)
	case []float64:
		adamW(w, grad.Data().([]float64), o, h, t)
	}
}

func adamW[E float32 | float64](w, grad []E, o *moments, h block.Hyper, t int) {
	correct1, correct2 := 1-math.Pow(h.Beta1, float64(t)), 1-math.Pow(h.Beta2, float64(t))
	for i := range w {
		g := float64(grad[i])
		o.m[i] = h.Beta1*o.m[i] + (1-h.Beta1)*g
		o.v[i] = h.Beta2*o.v[i] + (1-h.Beta2)*g*g
		step := o.m[i]/correct1/(math.Sqrt(o.v[i]/correct2)+h.Eps) + h.WeightDecay*float64(w[i])
		w[i] -= E(h.LR * step)
	}
}
