package block

import "ofpeak/kernels"

// bind builds the layers' views of the parameter arenas.
func (st *Stage) bind() {
	st.bindChunks()
	at := 0
	next := func() Param { at++; return st.Params[at-1] }
	for _, kind := range st.kinds {
		switch kind {
		case Embedding:
			wte, wpe := next(), next()
			st.embed = &embedding{
				wte: st.values(wte), wpe: st.values(wpe), dwte: st.gradient(wte), dwpe: st.gradient(wpe),
			}
		case Block:
			t := transformer{ring: &st.Ring}
			t.ln1 = st.norm(next(), next())
			t.qkv = st.linear(next(), next())
			t.proj = st.linear(next(), next())
			t.ln2 = st.norm(next(), next())
			if st.Experts.Count > 0 {
				t.moe = st.mixture(next)
				st.blocks = append(st.blocks, t)
				continue
			}
			t.fc = st.linear(next(), next())
			t.out = st.linear(next(), next())
			st.blocks = append(st.blocks, t)
		case LMHead:
			st.head = &lmHead{ln: st.norm(next(), next())}
			w := next()
			st.head.out = st.matrix(w)
			math := st.Precision.Head().Math
			st.head.out.w.Math, st.head.out.dw.Math = math, math
		}
	}
}

// bindChunks finds what each chunk holds.
func (st *Stage) bindChunks() {
	layers := st.Layers()
	at, blocks := 0, 0
	for _, r := range st.Chunks {
		ch := chunk{first: at, layers: r.Len(), blocks: Range{blocks, blocks}}
		for _, kind := range layers[r.Lo:r.Hi] {
			switch kind {
			case Embedding:
				ch.embed = true
			case Block:
				ch.blocks.Hi++
			case MSEHead:
				ch.mse = true
			case LMHead:
				ch.head = true
			}
		}
		at, blocks = at+ch.layers, ch.blocks.Hi
		st.chunks = append(st.chunks, ch)
	}
}

func (st *Stage) norm(gain, bias Param) norm {
	return norm{
		gain: st.values(gain), bias: st.values(bias), dgain: st.gradient(gain), dbias: st.gradient(bias), off: gain.Off,
	}
}

func (st *Stage) linear(w, b Param) linear {
	l := st.matrix(w)
	l.b = st.values(b)
	if !st.Forward {
		l.db = st.gradient(b)
	}
	return l
}

// matrix is a linear without a bias.
func (st *Stage) matrix(w Param) linear {
	l := linear{w: st.dense(w, st.values(w)), off: w.Off}
	if w.sparse {
		st.storeElsewhere(&l.w)
	}
	if !st.Forward {
		l.dw = l.w
		l.dw.Values = st.gradient(w)
	}
	return l
}

// mixture takes a block's router and experts.
func (st *Stage) mixture(next func() Param) *mixture {
	m := &mixture{Experts: st.Experts, router: st.matrix(next()), stats: st.Routes, again: st.routesAgain, state: st.State, swap: &st.Exchange}
	// A choice between experts is not to hang on the digits that products leave out (Fedus et al., arXiv:2101.03961, section 2.4).
	m.router.w.Math, m.router.dw.Math = 0, 0
	for range m.local() {
		m.fc, m.out = append(m.fc, st.matrix(next())), append(m.out, st.matrix(next()))
	}
	return m
}

// dense is p as a dense matrix.
func (st *Stage) dense(p Param, values kernels.Tensor) kernels.Weight {
	return kernels.Weight{OC: p.OC, C: p.C, Values: values, Math: st.Precision.Math}
}

// values is where the passes find a parameter.
func (st *Stage) values(p Param) kernels.Tensor {
	return p.view(st.homeOf(p, st.Weights, st.weightSlots))
}

// gradient is where the backward pass adds to a parameter's gradient.
func (st *Stage) gradient(p Param) kernels.Tensor {
	return p.view(st.homeOf(p, st.Grads, st.gradSlots))
}

// storeElsewhere gives a weight of the stage's layout what lies outside the arenas: where its values belong, and 8-bit values.
func (st *Stage) storeElsewhere(w *kernels.Weight) {
	w.Layout = st.Layout
	n, t := st.Layout.MetaLen(w.OC, w.C)
	w.Meta = st.heap.tensor(t, n)
	if w.Format == kernels.Int8 {
		w.Values = st.heap.tensor(kernels.I8, w.OC, w.C)
		w.Scale = st.heap.tensor(kernels.F32, w.OC)
	}
}

// view is the parameter's stored values at its layer's home: (OC,C) where all are stored, else flat. It is absent where the home is, or
// where the values lie elsewhere.
func (p Param) view(h home) kernels.Tensor {
	switch {
	case h.t.None() || p.Len == 0:
		return kernels.Tensor{}
	case p.OC == 1 || p.C == 1 || p.Len != p.OC*p.C:
		return h.t.At(p.Off-h.from, p.Len)
	}
	return h.t.At(p.Off-h.from, p.OC, p.C)
}
