package cpu

import "math"

// naive does one query at a time with a row of T scores.
func (c *attentionForward) naive(s *Stream, worker int) {
	d, set, a := &c.dims, c.variant.set, &s.arenas[worker]
	qkv, out, lse := valuesOf(c.qkv), valuesOf(c.out), floats(c.lse)
	q, other, o, scores := a.take(d.hs), a.take(d.hs), a.take(d.hs), a.take(d.t)
	for {
		head, _, ok := s.units.next()
		if !ok {
			return
		}
		for t := range d.t {
			row := qkv.load(set, d.row(query, head, t), d.hs, q)
			for j := range t + 1 {
				scores[j] = d.scale * set.Dot(row, qkv.load(set, d.row(key, head, j), d.hs, other))
			}
			top := set.Max(scores[:t+1])
			sum := set.ExpSum(scores[:t+1], scores, 1, top)
			clear(o)
			for j := range t + 1 {
				set.Axpy(o, qkv.load(set, d.row(value, head, j), d.hs, other), scores[j]/sum)
			}
			out.store(set, d.row(output, head, t), o)
			lse[head*d.t+t] = top + float32(math.Log(float64(sum)))
		}
	}
}

// naive does one query at a time, adding to the gradients of all keys and values before it.
func (c *attentionBackward) naive(s *Stream, worker int) {
	d, set, a := &c.dims, c.variant.set, &s.arenas[worker]
	qkv, dout, dqkv, lse, dots := valuesOf(c.qkv), valuesOf(c.dout), valuesOf(c.dqkv), floats(c.lse), floats(c.scratch)
	size := d.t * d.hs
	q, do, k, v := a.take(d.hs), a.take(d.hs), a.take(d.hs), a.take(d.hs)
	dk, dv := a.take(size), a.take(size)
	for {
		head, _, ok := s.units.next()
		if !ok {
			return
		}
		dq := c.slot(head, 0)
		clear(dq)
		clear(dk)
		clear(dv)
		for t := range d.t {
			i, at := head*d.t+t, t*d.wide
			mine, grad := qkv.load(set, d.row(query, head, t), d.hs, q), dout.load(set, d.row(output, head, t), d.hs, do)
			for j := range t + 1 {
				key, val := qkv.load(set, d.row(key, head, j), d.hs, k), qkv.load(set, d.row(value, head, j), d.hs, v)
				p := float32(math.Exp(float64(d.scale*set.Dot(mine, key) - lse[i])))
				ds := d.scale * p * (set.Dot(grad, val) - dots[i])
				set.Axpy(dv[j*d.hs:][:d.hs], grad, p)
				set.Axpy(dq[at:at+d.hs], key, ds)
				set.Axpy(dk[j*d.hs:][:d.hs], mine, ds)
			}
		}
		for t := range d.t {
			dqkv.store(set, d.row(key, head, t), dk[t*d.hs:][:d.hs])
			dqkv.store(set, d.row(value, head, t), dv[t*d.hs:][:d.hs])
		}
	}
}
