package verify

import "ofpeak/kernels"

func (l *list) embedding() {
	t, st := l.t, kernels.StatsOf(l.t)
	for _, d := range []struct{ b, t, v, c, shift int }{{1, 1, 1, 1, 0}, {2, 5, 7, 12, 0}, {3, 17, 11, 33, 1}, {2, 64, 256, 64, 0}, {1, 31, 5, 130, 3}} {
		n := d.b * d.t
		l.append(kernels.OpEmbedding, kernels.Layout{}, func(e *env) {
			e.shift, e.scale = d.shift, 1
			ids := e.in("ids", kernels.I32, e.below(n, d.v), d.b, d.t)
			wte := e.in("wte", t, e.normal(d.v*d.c, 0, 1), d.v, d.c)
			wpe := e.in("wpe", t, e.normal(d.t*d.c, 0, 1), d.t, d.c)
			e.s.EmbeddingForward(e.out("out", t, tolerance(t, 1), n, d.c), ids, wte, wpe)
		}, "forward B=%d T=%d V=%d C=%d +%d", d.b, d.t, d.v, d.c, d.shift)
		l.append(kernels.OpEmbedding, kernels.Layout{}, func(e *env) {
			e.shift, e.scale = d.shift, 1
			ids := e.in("ids", kernels.I32, e.below(n, d.v), d.b, d.t)
			dout := e.in("dout", t, e.normal(n*d.c, 0, 1), n, d.c)
			dwte := e.sum("dwte", st, tolerance(st, n), d.v, d.c)
			dwpe := e.sum("dwpe", st, tolerance(st, d.b), d.t, d.c)
			e.s.EmbeddingBackward(dwte, dwpe, dout, ids)
		}, "backward B=%d T=%d V=%d C=%d +%d", d.b, d.t, d.v, d.c, d.shift)
	}
}
