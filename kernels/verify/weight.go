package verify

import (
	"ofpeak/kernels"
	"ofpeak/kernels/ref"
)

// parts is a weight's contents on the host.
type parts struct{ values, meta, scale []float64 }

// weight makes a random weight as an input, encoded by the reference, so that products do not depend on the device's Encode.
func (e *env) weight(layout kernels.Layout, t kernels.DType, m matmul) kernels.Weight {
	dense := e.factors(m.oc * m.c)
	if layout.Format == kernels.Int8 {
		dense = e.quantizable(t, m.oc, m.c)
	}
	p, w := encode(layout, m, round(t, dense)), kernels.Weight{Layout: layout, OC: m.oc, C: m.c, Math: e.math}
	if n, mt := layout.MetaLen(m.oc, m.c); n > 0 {
		w.Meta = e.in("meta", mt, p.meta, n)
	}
	if layout.Format == kernels.Int8 {
		w.Values = e.in("values", kernels.I8, p.values, m.oc, m.c)
		w.Scale = e.in("scale", kernels.StatsOf(t), p.scale, m.oc)
		return w
	}
	w.Values = e.in("values", t, p.values, len(p.values))
	return w
}

// encode has the reference store a dense matrix.
func encode(layout kernels.Layout, m matmul, dense []float64) parts {
	dev := ref.New()
	s := must(dev.NewStream())
	w := kernels.Weight{Layout: layout, OC: m.oc, C: m.c}
	of := func(t kernels.DType, n int) kernels.Tensor { return kernels.Of(must(dev.Alloc(t, n)), n) }
	vt := kernels.F64
	if layout.Format == kernels.Int8 {
		vt, w.Scale = kernels.I8, of(kernels.F64, m.oc)
	}
	w.Values = of(vt, layout.ValueLen(m.oc, m.c))
	n, mt := layout.MetaLen(m.oc, m.c)
	w.Meta = of(mt, n)
	d := of(kernels.F64, len(dense)).Reshape(m.oc, m.c)
	s.Upload(d, Dense(kernels.F64, dense))
	s.Encode(w, d)
	p := parts{values: must(Read(s, w.Values)), meta: must(Read(s, w.Meta))}
	if !w.Scale.None() {
		p.scale = must(Read(s, w.Scale))
	}
	return p
}

// must is for the reference, whose memory has no limit here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (l *list) weights() {
	t, st := l.t, kernels.StatsOf(l.t)
	for _, w := range layouts {
		for _, m := range []matmul{{0, w.oc, w.c, 0}, {0, 3 * w.oc, 5 * w.c, 1}, {0, 64, 96, 0}} {
			l.append(kernels.OpLinear, w.Layout, func(e *env) {
				e.shift = m.shift
				dense := e.normal(m.oc*m.c, 0, 1)
				if w.Format == kernels.Int8 {
					dense = e.quantizable(st, m.oc, m.c)
				} else {
					tie(dense)
				}
				e.s.Encode(e.encoded(w.Layout, t, m), e.in("dense", st, dense, m.oc, m.c))
			}, "encode %v block=%d", m, w.Block)
			l.append(kernels.OpLinear, w.Layout, func(e *env) {
				e.shift = m.shift
				e.s.Decode(e.out("dense", t, tolerance(t, 0), m.oc, m.c), e.weight(w.Layout, t, m))
			}, "decode %v block=%d", m, w.Block)
		}
	}
}

// tie makes neighbours equal in magnitude, so that the lower index must win.
func tie(dense []float64) {
	for i := 0; i+1 < len(dense); i += 3 {
		dense[i+1] = -dense[i]
	}
}

// encoded makes a weight as an output. Everything but a scale must be exact.
func (e *env) encoded(layout kernels.Layout, t kernels.DType, m matmul) kernels.Weight {
	w := kernels.Weight{Layout: layout, OC: m.oc, C: m.c}
	zeros := func(n int) []float64 { return make([]float64, n) }
	if n, mt := layout.MetaLen(m.oc, m.c); n > 0 {
		w.Meta = e.inOut("meta", mt, 0, zeros(n), n)
	}
	if layout.Format == kernels.Int8 {
		w.Values = e.inOut("values", kernels.I8, 0, zeros(m.oc*m.c), m.oc, m.c)
		w.Scale = e.out("scale", kernels.StatsOf(t), tolerance(kernels.StatsOf(t), 0), m.oc)
		return w
	}
	n := layout.ValueLen(m.oc, m.c)
	w.Values = e.out("values", t, tolerance(t, 0), n)
	return w
}
