package block

import "ofpeak/kernels"

// bind builds the layers' views of the parameter arenas.
func (st *Stage) bind() {
	at := 0
	next := func() Param { at++; return st.Params[at-1] }
	for _, kind := range st.kinds {
		switch kind {
		case Embedding:
			wte, wpe := next(), next()
			st.embed = &embedding{
				wte: wte.view(st.Weights), wpe: wpe.view(st.Weights),
				dwte: wte.view(st.Grads), dwpe: wpe.view(st.Grads),
			}
		case Block:
			var t transformer
			t.ln1 = st.norm(next(), next())
			t.qkv = st.linear(next(), next())
			t.proj = st.linear(next(), next())
			t.ln2 = st.norm(next(), next())
			t.fc = st.linear(next(), next())
			t.out = st.linear(next(), next())
			st.blocks = append(st.blocks, t)
		case LMHead:
			st.head = &lmHead{ln: st.norm(next(), next())}
			w := next()
			st.head.out = linear{w: st.weight(w, st.Weights), dw: st.weight(w, st.Grads), off: w.Off}
		}
	}
}

func (st *Stage) norm(gain, bias Param) norm {
	return norm{
		gain: gain.view(st.Weights), bias: bias.view(st.Weights),
		dgain: gain.view(st.Grads), dbias: bias.view(st.Grads), off: gain.Off,
	}
}

func (st *Stage) linear(w, b Param) linear {
	l := linear{w: st.weight(w, st.Weights), b: b.view(st.Weights), off: w.Off}
	if w.sparse {
		st.storeElsewhere(&l.w)
	}
	if !st.Forward {
		l.dw, l.db = l.w, b.view(st.Grads)
		l.dw.Values = w.view(st.Grads)
	}
	return l
}

// weight is p as a dense matrix of an arena.
func (st *Stage) weight(p Param, arena kernels.Tensor) kernels.Weight {
	return kernels.Weight{OC: p.OC, C: p.C, Values: p.view(arena)}
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

// view is the parameter's stored values in an arena: (OC,C) where all are stored, else flat. It is absent where the arena is, or where the
// values lie elsewhere.
func (p Param) view(arena kernels.Tensor) kernels.Tensor {
	switch {
	case arena.None() || p.Len == 0:
		return kernels.Tensor{}
	case p.OC == 1 || p.C == 1 || p.Len != p.OC*p.C:
		return arena.At(p.Off, p.Len)
	}
	return arena.At(p.Off, p.OC, p.C)
}
