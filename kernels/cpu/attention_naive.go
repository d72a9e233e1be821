package cpu

import "math"

// naive does one query at a time with a row of U scores.
func (c *attentionForward) naive(s *Stream, worker int) {
	d, set, a := &c.dims, c.variant.set, &s.arenas[worker]
	qkv, kv, out, lse := valuesOf(c.qkv), valuesOf(orQKV(c.kv, c.qkv)), valuesOf(c.out), floats(c.lse)
	q, other, o, scores := a.take(d.hs), a.take(d.hs), a.take(d.hs), a.take(d.u)
	for {
		head, _, ok := s.units.next()
		if !ok {
			return
		}
		for t := range d.t {
			row := qkv.load(set, d.row(query, head, t), d.hs, q)
			seen := scores[:d.before(t+1)]
			for j := range seen {
				seen[j] = d.scale * set.Dot(row, kv.load(set, d.row(key, head, j), d.hs, other))
			}
			top, before := set.Max(seen), float32(math.Inf(-1))
			if d.extends {
				before = lse[head*d.t+t]
				top = max(top, before)
			}
			kept := float32(math.Exp(float64(before - top)))
			sum := kept + set.ExpSum(seen, scores, 1, top)
			clear(o)
			if d.extends {
				set.Scale(o, out.load(set, d.row(output, head, t), d.hs, other), kept/sum)
			}
			for j := range seen {
				set.Axpy(o, kv.load(set, d.row(value, head, j), d.hs, other), scores[j]/sum)
			}
			out.store(set, d.row(output, head, t), o)
			lse[head*d.t+t] = top + float32(math.Log(float64(sum)))
		}
	}
}

// naive does one query at a time, adding to the gradients of all keys and values that it sees.
func (c *attentionBackward) naive(s *Stream, worker int) {
	d, set, a := &c.dims, c.variant.set, &s.arenas[worker]
	qkv, kv, dkv := valuesOf(c.qkv), valuesOf(orQKV(c.kv, c.qkv)), valuesOf(orQKV(c.dkv, c.dqkv))
	dout, lse, dots := valuesOf(c.dout), floats(c.lse), floats(c.scratch)
	size := d.u * d.hs
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
		if d.extends {
			dkv.gather(set, dk, d.hs, d.row(key, head, 0), d.stride(key), d.u, d.hs)
			dkv.gather(set, dv, d.hs, d.row(value, head, 0), d.stride(value), d.u, d.hs)
		}
		for t := range d.t {
			i, at := head*d.t+t, t*d.wide
			mine, grad := qkv.load(set, d.row(query, head, t), d.hs, q), dout.load(set, d.row(output, head, t), d.hs, do)
			for j := range d.before(t + 1) {
				key, val := kv.load(set, d.row(key, head, j), d.hs, k), kv.load(set, d.row(value, head, j), d.hs, v)
				p := float32(math.Exp(float64(d.scale*set.Dot(mine, key) - lse[i])))
				ds := d.scale * p * (set.Dot(grad, val) - dots[i])
				set.Axpy(dv[j*d.hs:][:d.hs], grad, p)
				set.Axpy(dq[at:at+d.hs], key, ds)
				set.Axpy(dk[j*d.hs:][:d.hs], mine, ds)
			}
		}
		dkv.scatter(set, d.row(key, head, 0), d.stride(key), dk, d.hs, d.u, d.hs)
		dkv.scatter(set, d.row(value, head, 0), d.stride(value), dv, d.hs, d.u, d.hs)
	}
}
