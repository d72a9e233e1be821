package block

import "ofpeak/kernels"

// Acts are one microbatch's activations on one stage. N is the number of tokens of Config.Grid; S is the number of tokens that a rank holds, Config.Tokens.
type Acts struct {
	// IDs int32, of the shape Config.Grid, feeds a stage that starts with the embedding; In (S,C) any other. The caller fills them, or points them at its own data.
	IDs, In kernels.Tensor
	// Target is what the last stage's loss compares with: (S,C) for the MSE head, int32 (N) for the language model.
	Target kernels.Tensor
	// Out (S,C) is what the last block of the stage hands to the next stage.
	Out kernels.Tensor

	chunk  int
	blocks []blockActs
	head   headActs
	heap   heap
}

// NewActs allocates the activations of one microbatch in the stage's first chunk. The caller frees them.
func (st *Stage) NewActs() (*Acts, error) { return st.newActs(0, true) }

// NewActsAround is NewActs for any chunk. It leaves out the model's input and target, for a caller that points IDs or In, and Target, at its own before each Run.
func (st *Stage) NewActsAround(chunk int) (*Acts, error) { return st.newActs(chunk, false) }

func (st *Stage) newActs(chunk int, data bool) (*Acts, error) {
	c, ch := st.Config, st.chunks[chunk]
	a := &Acts{heap: heap{dev: st.dev}, chunk: chunk}
	h, ct, n, own := &a.heap, c.Precision.Compute, c.all(), c.tokens()
	if ch.embed && data {
		rows, length := c.Grid()
		a.IDs = h.tensor(kernels.I32, rows, length)
	}
	if ch.embed || st.Chunks[chunk].Lo > 0 || data {
		a.In = h.tensor(ct, own, c.C)
	}
	a.Out = a.In
	for range ch.blocks.Len() {
		b := st.again
		if !c.Recompute {
			b = newBlockActs(h, c)
		}
		b.in, b.out = a.Out, h.tensor(ct, own, c.C)
		a.blocks = append(a.blocks, b)
		a.Out = b.out
	}
	switch {
	case ch.head:
		stats := c.Precision.Stats
		a.head = headActs{
			norm: h.tensor(ct, own, c.C), mean: h.tensor(stats, own), rstd: h.tensor(stats, own),
			logits: h.tensor(ct, n, c.V),
		}
		if !c.Forward {
			a.head.dnorm = h.tensor(ct, n, c.C)
		}
		if data {
			a.Target = h.tensor(kernels.I32, n)
		}
	case ch.mse && data:
		a.Target = h.tensor(ct, own, c.C)
	}
	if h.err != nil {
		a.Free()
		return nil, h.err
	}
	return a, nil
}

// Free returns the memory.
func (a *Acts) Free() { a.heap.free() }

// newBlockActs leaves out input and output.
func newBlockActs(h *heap, c Config) blockActs {
	b, length := c.Grid()
	n, own, p, hs := c.all(), c.tokens(), c.C/c.TP, c.C/c.NH
	ct, st := c.Precision.Compute, c.Precision.Stats
	a := blockActs{
		ln1: h.tensor(ct, own, c.C), mean1: h.tensor(st, own), rstd1: h.tensor(st, own),
		qkvRows: h.tensor(ct, n, 3*p), attRows: h.tensor(ct, n, p), lse: h.tensor(st, b, c.NH/c.TP, length),
		res: h.tensor(ct, own, c.C),
		ln2: h.tensor(ct, own, c.C), mean2: h.tensor(st, own), rstd2: h.tensor(st, own),
	}
	if c.Experts.Count > 0 {
		a.mixture = newMixtureActs(h, c)
	} else {
		a.pre, a.gelu = h.tensor(ct, n, 4*p), h.tensor(ct, n, 4*p)
	}
	if h.err == nil {
		a.qkv = a.qkvRows.Reshape(b, length, 3, c.NH/c.TP, hs)
		a.att = a.attRows.Reshape(b, length, c.NH/c.TP, hs)
	}
	return a
}

func newBlockGrads(h *heap, c Config) blockGrads {
	b, length := c.Grid()
	n, own, p, hs := c.all(), c.tokens(), c.C/c.TP, c.C/c.NH
	ct := c.Precision.Compute
	g := blockGrads{
		norm: h.tensor(ct, own, c.C), res: h.tensor(ct, own, c.C),
		qkvRows: h.tensor(ct, n, 3*p), attRows: h.tensor(ct, n, p),
		rows: h.tensor(c.Precision.Stats, b, c.NH/c.TP, length),
	}
	if c.Experts.Count == 0 {
		g.pre = h.tensor(ct, n, 4*p)
	}
	if h.err == nil {
		g.qkv = g.qkvRows.Reshape(b, length, 3, c.NH/c.TP, hs)
		g.att = g.attRows.Reshape(b, length, c.NH/c.TP, hs)
	}
	return g
}
