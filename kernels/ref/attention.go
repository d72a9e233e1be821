package ref

import (
	"math"

	"ofpeak/kernels"
)

// heads gives access to one (b, h) of tensors laid out (B,T,...,NH,HS).
type heads struct {
	b, h, t, nh, hs int
}

// vec is position t's vector in a (B,T,NH,HS) tensor.
func (a heads) vec(x []float64, t int) []float64 { return row(x, (a.b*a.t+t)*a.nh+a.h, a.hs) }

// qkv is position t's query (0), key (1) or value (2) in a (B,T,3,NH,HS) tensor.
func (a heads) qkv(x []float64, t, which int) []float64 {
	return row(x, ((a.b*a.t+t)*3+which)*a.nh+a.h, a.hs)
}

// stat is position t's index in a (B,NH,T) tensor.
func (a heads) stat(t int) int { return (a.b*a.nh+a.h)*a.t + t }

// eachHead calls f for each batch entry and head of qkv (B,T,3,NH,HS). Heads share no output.
func eachHead(qkv kernels.Tensor, f func(a heads)) {
	b, nh := qkv.Dim(0), qkv.Dim(3)
	each(b*nh, func(i int) { f(heads{i / nh, i % nh, qkv.Dim(1), nh, qkv.Dim(4)}) })
}

func (s *stream) AttentionForward(out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionForward(out, lse, qkv)
	o, l, in := read(out), read(lse), read(qkv)
	scale := 1 / math.Sqrt(float64(qkv.Dim(4)))
	eachHead(qkv, func(a heads) {
		scores := make([]float64, a.t)
		for t := range a.t {
			top := math.Inf(-1)
			for u := range t + 1 {
				scores[u] = scale * dot(a.qkv(in, t, 0), a.qkv(in, u, 1))
				top = max(top, scores[u])
			}
			sum := 0.0
			for u := range t + 1 {
				scores[u] = math.Exp(scores[u] - top)
				sum += scores[u]
			}
			y := a.vec(o, t)
			clear(y)
			for u := range t + 1 {
				axpy(y, scores[u]/sum, a.qkv(in, u, 2))
			}
			l[a.stat(t)] = top + math.Log(sum)
		}
	})
	write(out, o)
	write(lse, l)
}

func (s *stream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	d, rows, dy, o, l, in := read(dqkv), read(scratch), read(dout), read(out), read(lse), read(qkv)
	scale := 1 / math.Sqrt(float64(qkv.Dim(4)))
	clear(d)
	eachHead(qkv, func(a heads) {
		for t := range a.t {
			q, g, r := a.qkv(in, t, 0), a.vec(dy, t), a.stat(t)
			rows[r] = dot(g, a.vec(o, t))
			for u := range t + 1 {
				k, v := a.qkv(in, u, 1), a.qkv(in, u, 2)
				p := math.Exp(scale*dot(q, k) - l[r])
				ds := p * (dot(g, v) - rows[r]) * scale
				axpy(a.qkv(d, t, 0), ds, k)
				axpy(a.qkv(d, u, 1), ds, q)
				axpy(a.qkv(d, u, 2), p, g)
			}
		}
	})
	write(dqkv, d)
	write(scratch, rows)
}
