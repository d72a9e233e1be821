package verify

import (
	"math"

	"ofpeak/kernels"
)

// extension is attention that goes on with u further positions; low makes what it goes on from count for next to nothing, and with cold all scores are
// near -120, where exp(-score) of a key that is not there would overflow.
type extension struct {
	attention
	u         int
	low, cold bool
}

func (l *list) extensions() {
	t := l.t
	ds := []extension{
		{attention{1, 1, 1, 1, 0, 1}, 1, false, false}, {attention{2, 5, 3, 4, 0, 1}, 7, false, false}, {attention{1, 17, 2, 8, 1, 1}, 16, true, false},
		{attention{2, 33, 2, 64, 3, 1}, 65, false, false}, {attention{1, 64, 1, 16, 0, 1}, 128, true, false}, {attention{1, 40, 2, 16, 0, 6}, 99, false, false},
		{attention{1, 70, 1, 80, 0, 1}, 1, false, false}, {attention{1, 3, 2, 128, 0, 1}, 97, false, false}, {attention{1, 97, 1, 8, 0, 2}, 290, false, false}, {attention{1, 33, 1, 64, 0, 5}, 70, false, true},
	}
	fuzz := l.fuzz()
	for range 2 {
		ds = append(ds, extension{attention{1 + fuzz.IntN(3), 1 + fuzz.IntN(90), 1 + fuzz.IntN(3), 1 + fuzz.IntN(70), fuzz.IntN(8), 1}, 1 + fuzz.IntN(90), fuzz.IntN(2) == 0, false})
	}
	for _, d := range ds {
		l.append(kernels.OpAttention, kernels.Layout{}, func(e *env) { d.forward(e, t) },
			"extend forward B=%d T=%d U=%d NH=%d HS=%d spread=%g low=%t cold=%t +%d", d.b, d.t, d.u, d.nh, d.hs, d.spread, d.low, d.cold, d.shift)
		l.append(kernels.OpAttention, kernels.Layout{}, func(e *env) { d.backward(e, t) },
			"extend backward B=%d T=%d U=%d NH=%d HS=%d spread=%g cold=%t +%d", d.b, d.t, d.u, d.nh, d.hs, d.spread, d.cold, d.shift)
	}
	for _, d := range []struct{ n, c, to, from, count, width, shift int }{
		{1, 1, 0, 0, 1, 1, 0}, {3, 12, 0, 4, 8, 8, 0}, {7, 33, 5, 1, 20, 40, 1}, {64, 96, 0, 32, 64, 64, 0}, {65, 64, 32, 0, 64, 96, 0}, {5, 48, 16, 8, 24, 56, 3},
	} {
		l.append(kernels.OpAttention, kernels.Layout{}, func(e *env) {
			e.shift, e.scale = d.shift, 1
			src := e.in("src", t, e.normal(d.n*d.c, 0, 1), d.n, d.c)
			e.s.CopyColumns(e.sum("dst", t, 0, d.n, d.width), src, d.to, d.from, d.count)
		}, "copy columns N=%d C=%d %d+%d to %d of %d +%d", d.n, d.c, d.from, d.count, d.to, d.width, d.shift)
	}
}

func (d extension) tolerance(t kernels.DType) float64 {
	return 4*tolerance(t, d.t+d.u+d.hs) + 4*d.largest()*kernels.StatsOf(t).Eps()
}

// largest is about the largest score: if cold they lie around a sum of products of two half-normal numbers.
func (d extension) largest() float64 {
	largest := d.attention.largest()
	if d.cold {
		largest += 2 / math.Pi * d.spread * d.spread * math.Sqrt(float64(d.hs))
	}
	return largest
}

func (d extension) forward(e *env, t kernels.DType) {
	e.shift, e.scale = d.shift, 1
	st := kernels.StatsOf(t)
	qkv := e.in("qkv", t, d.queries(e), d.b, d.t, 3, d.nh, d.hs)
	kv := e.in("kv", t, d.kv(e), d.b, d.u, 2, d.nh, d.hs)
	out := e.sum("out", t, d.tolerance(t), d.b, d.t, d.nh, d.hs)
	lse := e.inOut("lse", st, tolerance(st, d.u+d.hs), d.before(e), d.b, d.nh, d.t)
	e.s.AttentionExtendForward(out, lse, qkv, kv)
}

// backward takes lse from the host, as attentionBackward does.
func (d extension) backward(e *env, t kernels.DType) {
	e.shift, e.scale = d.shift, 1
	st := kernels.StatsOf(t)
	queries, further := round(t, d.queries(e)), round(t, d.kv(e))
	qkv, kv := e.in("qkv", t, queries, d.b, d.t, 3, d.nh, d.hs), e.in("kv", t, further, d.b, d.u, 2, d.nh, d.hs)
	lse := e.in("lse", st, d.after(d.before(e), queries, further), d.b, d.nh, d.t)
	scratch := e.in("scratch", st, e.normal(d.b*d.nh*d.t, 0, 1), d.b, d.nh, d.t)
	dout := e.in("dout", t, e.normal(d.b*d.t*d.nh*d.hs, 0, 1), d.b, d.t, d.nh, d.hs)
	e.scale = d.spread // of queries and keys, of which gradients are sums
	dqkv, dkv := e.sum("dqkv", t, d.tolerance(t), d.b, d.t, 3, d.nh, d.hs), e.sum("dkv", t, d.tolerance(t), d.b, d.u, 2, d.nh, d.hs)
	e.s.AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv)
}

// queries are those of attention, positive if cold.
func (d extension) queries(e *env) []float64 {
	v := d.qkv(e)
	for i := range v {
		if d.cold && i/(d.nh*d.hs)%3 == 0 {
			v[i] = math.Abs(v[i])
		}
	}
	return v
}

// kv is random keys, which grow along the sequence, or all alike and negative if cold, and values.
func (d extension) kv(e *env) []float64 {
	v := e.normal(d.b*d.u*2*d.nh*d.hs, 0, 1)
	for i := range v {
		row := i / (d.nh * d.hs)
		switch {
		case row%2 == 1:
		case d.cold:
			v[i] = -math.Abs(v[i]) * d.spread
		default:
			v[i] *= d.spread * (0.5 + float64(row/2%d.u)/float64(d.u))
		}
	}
	return v
}

// before is what the log-sum-exps start from: above some scores and below others, so that some rows' sums shrink and others do not.
func (d extension) before(e *env) []float64 {
	lse := e.normal(d.b*d.nh*d.t, 1, d.spread*d.spread)
	for i := range lse {
		switch {
		case d.low:
			lse[i] -= 60
		case d.cold:
			lse[i] -= 120
		}
	}
	return lse
}

// after is lse and all scores.
func (d extension) after(lse, queries, further []float64) []float64 {
	for i := range lse {
		b, h, t := i/d.t/d.nh, i/d.t%d.nh, i%d.t
		q := queries[(((b*d.t+t)*3)*d.nh+h)*d.hs:][:d.hs]
		for u := range d.u {
			score, k := 0.0, further[(((b*d.u+u)*2)*d.nh+h)*d.hs:]
			for j, x := range q {
				score += x * k[j] / math.Sqrt(float64(d.hs))
			}
			top := max(lse[i], score)
			lse[i] = top + math.Log(math.Exp(lse[i]-top)+math.Exp(score-top))
		}
	}
	return lse
}
