package cpu

import (
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type adamW struct {
	args kernels.AdamWArgs
	set  *vec.Set
	step vec.AdamW
}

// AdamW updates parameters in one pass over memory, with the copy for the products; see kernels.AdamWArgs.
func (s *Stream) AdamW(a kernels.AdamWArgs) {
	kernels.CheckAdamW(a)
	enqueue(s, &s.pools.adamW, adamW{args: a, set: s.dev.chosen[kernels.OpAdamW].set})
}

func (c *adamW) run(s *Stream) {
	state, a := floats(c.args.State), &c.args
	if state[kernels.StateFound] > 0 {
		return
	}
	t := float64(state[kernels.StateSteps]) + 1
	c.step = vec.AdamW{
		Beta1: float32(a.Beta1), OneBeta1: float32(1 - a.Beta1),
		Beta2: float32(a.Beta2), OneBeta2: float32(1 - a.Beta2),
		GradScale: 1 / state[kernels.StateScale],
		Step:      float32(a.LR / (1 - math.Pow(a.Beta1, t))),
		VScale:    float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))),
		Eps:       float32(a.Eps),
		Decay:     float32(a.LR * a.WeightDecay),
	}
	s.share(c, a.Master.Size())
}

func (c *adamW) part(s *Stream, worker, workers int) {
	w, m, v, g := floats(c.args.Master), floats(c.args.M), floats(c.args.V), floats(c.args.Grad)
	param := valuesOf(c.args.Param)
	lo, hi := spanLines(len(w), worker, workers)
	for ; lo < hi; lo += block {
		end := min(lo+block, hi)
		c.set.AdamW(w[lo:end], m[lo:end], v[lo:end], g[lo:end], &c.step)
		if !c.args.Param.None() {
			param.store(c.set, lo, w[lo:end])
		}
	}
}

type findNonFinite struct {
	state, x kernels.Tensor
	found    []float32 // of each worker
}

// FindNonFinite sets state[StateFound] to 1 if x holds an Inf or a NaN.
func (s *Stream) FindNonFinite(state, x kernels.Tensor) {
	kernels.CheckFindNonFinite(state, x)
	enqueue(s, &s.pools.findNonFinite, findNonFinite{state: state, x: x})
}

func (c *findNonFinite) run(s *Stream) {
	s.common.reset()
	c.found = s.common.take(s.workers(c.x.Size()))
	clear(c.found)
	s.share(c, c.x.Size())
	if s.set.Sum(c.found) > 0 {
		floats(c.state)[kernels.StateFound] = 1
	}
}

func (c *findNonFinite) part(s *Stream, worker, workers int) {
	x := valuesOf(c.x)
	buf := s.arenas[worker].take(block)
	lo, hi := spanLines(c.x.Size(), worker, workers)
	for ; lo < hi; lo += block {
		if !s.set.Finite(x.load(s.set, lo, min(block, hi-lo), buf)) {
			c.found[worker] = 1
			return
		}
	}
}

type updateScale struct {
	state   kernels.Tensor
	dynamic bool
}

// UpdateScale ends a step: it counts the step as applied or, where state[StateFound] > 0, as skipped; adapts the scale if dynamic;
// and clears StateFound.
func (s *Stream) UpdateScale(state kernels.Tensor, dynamic bool) {
	kernels.CheckUpdateScale(state)
	enqueue(s, &s.pools.updateScale, updateScale{state, dynamic})
}

func (c *updateScale) run(*Stream) {
	state := floats(c.state)
	if state[kernels.StateFound] > 0 {
		state[kernels.StateFound] = 0
		state[kernels.StateSkipped]++
		state[kernels.StateGood] = 0
		if c.dynamic {
			state[kernels.StateScale] = max(1, state[kernels.StateScale]/2)
		}
		return
	}
	state[kernels.StateSteps]++
	state[kernels.StateGood]++
	if c.dynamic && state[kernels.StateGood] >= kernels.ScaleWindow {
		state[kernels.StateScale] = min(kernels.MaxScale, state[kernels.StateScale]*2)
		state[kernels.StateGood] = 0
	}
}
