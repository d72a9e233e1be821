package ref

import (
	"math"

	"ofpeak/kernels"
)

// further is position u's key (0) or value (1) in a (B,U,2,NH,HS) tensor of positions.
func (a heads) further(x []float64, positions, u, which int) []float64 {
	return row(x, ((a.b*positions+u)*2+which)*a.nh+a.h, a.hs)
}

func (s *stream) AttentionExtendForward(out, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendForward(out, lse, qkv, kv)
	o, l, in, far, n := read(out), read(lse), read(qkv), read(kv), kv.Dim(1)
	scale := 1 / math.Sqrt(float64(qkv.Dim(4)))
	eachHead(qkv, func(a heads) {
		scores := make([]float64, n)
		for t := range a.t {
			before := l[a.stat(t)]
			top := before
			for u := range n {
				scores[u] = scale * dot(a.qkv(in, t, 0), a.further(far, n, u, 0))
				top = max(top, scores[u])
			}
			sum := math.Exp(before - top)
			for u := range n {
				sum += math.Exp(scores[u] - top)
			}
			after, y := top+math.Log(sum), a.vec(o, t)
			for i := range y {
				y[i] *= math.Exp(before - after)
			}
			for u := range n {
				axpy(y, math.Exp(scores[u]-after), a.further(far, n, u, 1))
			}
			l[a.stat(t)] = after
		}
	})
	write(out, o)
	write(lse, l)
}

func (s *stream) AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv)
	d, df, rows, dy, l, in, far, n := read(dqkv), read(dkv), read(scratch), read(dout), read(lse), read(qkv), read(kv), kv.Dim(1)
	scale := 1 / math.Sqrt(float64(qkv.Dim(4)))
	eachHead(qkv, func(a heads) {
		for t := range a.t {
			q, g, r := a.qkv(in, t, 0), a.vec(dy, t), a.stat(t)
			for u := range n {
				k, v := a.further(far, n, u, 0), a.further(far, n, u, 1)
				p := math.Exp(scale*dot(q, k) - l[r])
				ds := p * (dot(g, v) - rows[r]) * scale
				axpy(a.qkv(d, t, 0), ds, k)
				axpy(a.further(df, n, u, 0), ds, q)
				axpy(a.further(df, n, u, 1), p, g)
			}
		}
	})
	write(dqkv, d)
	write(dkv, df)
}
