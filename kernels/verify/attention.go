package verify

import (
	"math"

	"ofpeak/kernels"
)

// attention's sizes. spread is the standard deviation of queries and keys: scores have about its square.
type attention struct {
	b, t, nh, hs, shift int
	spread              float64
}

func (l *list) attention() {
	t := l.t
	ds := []attention{
		{1, 1, 1, 1, 0, 1}, {2, 5, 3, 4, 0, 1}, {1, 17, 2, 8, 1, 1}, {1, 65, 1, 32, 0, 1}, {2, 33, 2, 64, 3, 1},
		{1, 128, 1, 16, 0, 1}, {2, 64, 1, 64, 0, 1}, {1, 32, 2, 32, 0, 1}, {1, 130, 2, 16, 0, 1}, {1, 70, 1, 80, 0, 1},
		{1, 19, 2, 128, 0, 1}, {1, 40, 2, 16, 0, 6}, {1, 300, 1, 8, 1, 2}, {1, 290, 1, 16, 0, 14},
	}
	fuzz := l.fuzz()
	for range 4 {
		ds = append(ds, attention{1 + fuzz.IntN(3), 1 + fuzz.IntN(90), 1 + fuzz.IntN(3), 1 + fuzz.IntN(70), fuzz.IntN(8), 1})
	}
	for _, d := range ds {
		l.append(kernels.OpAttention, kernels.Layout{}, func(e *env) { attentionForward(e, t, d) },
			"forward B=%d T=%d NH=%d HS=%d spread=%g +%d", d.b, d.t, d.nh, d.hs, d.spread, d.shift)
		l.append(kernels.OpAttention, kernels.Layout{}, func(e *env) { attentionBackward(e, t, d) },
			"backward B=%d T=%d NH=%d HS=%d spread=%g +%d", d.b, d.t, d.nh, d.hs, d.spread, d.shift)
	}
}

// tolerances: probabilities and their gradients may be rounded to t between the products; a score's rounding, relative to the score,
// is an absolute error of its exponent.
func (d attention) tolerance(t kernels.DType) float64 {
	return 4*tolerance(t, d.t+d.hs) + 5*d.largest()*kernels.StatsOf(t).Eps()
}

// largest is about the largest score.
func (d attention) largest() float64 { return 6 * d.spread * d.spread }

func attentionForward(e *env, t kernels.DType, d attention) {
	e.shift, e.scale = d.shift, 1
	st := kernels.StatsOf(t)
	qkv := e.in("qkv", t, d.qkv(e), d.b, d.t, 3, d.nh, d.hs)
	out := e.out("out", t, d.tolerance(t), d.b, d.t, d.nh, d.hs)
	e.s.AttentionForward(out, e.out("lse", st, tolerance(st, d.t+d.hs), d.b, d.nh, d.t), qkv)
}

// attentionBackward takes lse from the host. out need not be the forward's: the gradient is a function of whatever it is given.
func attentionBackward(e *env, t kernels.DType, d attention) {
	e.shift, e.scale = d.shift, 1
	st := kernels.StatsOf(t)
	values := round(t, d.qkv(e))
	qkv := e.in("qkv", t, values, d.b, d.t, 3, d.nh, d.hs)
	lse := e.in("lse", st, d.lse(values), d.b, d.nh, d.t)
	out := e.in("out", t, e.normal(d.b*d.t*d.nh*d.hs, 0, 1), d.b, d.t, d.nh, d.hs)
	dout := e.in("dout", t, e.normal(d.b*d.t*d.nh*d.hs, 0, 1), d.b, d.t, d.nh, d.hs)
	dqkv := e.out("dqkv", t, d.tolerance(t), d.b, d.t, 3, d.nh, d.hs)
	e.s.AttentionBackward(dqkv, e.out("scratch", st, tolerance(st, d.hs), d.b, d.nh, d.t), dout, out, lse, qkv)
}

// qkv is random queries, keys and values. Keys grow along the sequence, so that the largest score of a row rises from one tile of
// keys to the next and what was summed before must shrink.
func (d attention) qkv(e *env) []float64 {
	v := e.normal(d.b*d.t*3*d.nh*d.hs, 0, 1)
	for i := range v {
		row := i / (d.nh * d.hs)
		switch row % 3 {
		case 0:
			v[i] *= d.spread
		case 1:
			v[i] *= d.spread * (0.5 + float64(row/3%d.t)/float64(d.t))
		}
	}
	return v
}

func (d attention) lse(qkv []float64) []float64 {
	lse := make([]float64, d.b*d.nh*d.t)
	at := func(b, t, which, h int) []float64 {
		i := (((b*d.t+t)*3+which)*d.nh + h) * d.hs
		return qkv[i : i+d.hs]
	}
	for i := range lse {
		b, h, t := i/d.t/d.nh, i/d.t%d.nh, i%d.t
		lse[i] = math.Inf(-1)
		for u := range t + 1 {
			score := 0.0
			for k, q := range at(b, t, 0, h) {
				score += q * at(b, u, 1, h)[k] / math.Sqrt(float64(d.hs))
			}
			top := max(lse[i], score)
			lse[i] = top + math.Log(math.Exp(lse[i]-top)+math.Exp(score-top))
		}
	}
	return lse
}
