package cpu

import (
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type attentionBackward struct {
	dqkv, scratch, dout, out, lse, qkv kernels.Tensor

	dims    attentionDims
	variant variant
	phase   phase
	dq      []float32 // partial gradients of the queries: (groups, heads, whole tiles of T, wide)
}

type phase uint8

const (
	dotPhase phase = iota // scratch = Σ dout·out of each row
	tilePhase
	queryPhase // dq of all groups to dqkv
)

// AttentionBackward computes dqkv (B,T,3,NH,HS) from dout and out (B,T,NH,HS), lse (B,NH,T) and qkv; see kernels.Ops.
func (s *Stream) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	enqueue(s, &s.pools.attentionBackward, attentionBackward{
		dqkv: dqkv, scratch: scratch, dout: dout, out: out, lse: lse, qkv: qkv,
		dims: dimsOf(qkv), variant: s.dev.chosen[kernels.OpAttention],
	})
}

func (c *attentionBackward) run(s *Stream) {
	d := &c.dims
	tiles := (d.t + gradTile - 1) / gradTile
	if c.variant.naive {
		tiles = 1
	}
	s.units.start(d.heads(), tiles, s.workers(d.work()))
	s.common.reset()
	c.dq = s.common.take(s.units.groups * d.heads() * d.packed())
	for c.phase = dotPhase; c.phase <= queryPhase; c.phase++ {
		s.share(c, d.work())
	}
}

func (c *attentionBackward) part(s *Stream, worker, workers int) {
	lo, hi := span(c.dims.heads()*c.dims.t, worker, workers)
	switch {
	case c.phase == dotPhase:
		c.dots(&s.arenas[worker], lo, hi)
	case c.phase == queryPhase:
		c.queries(s.units.groups, lo, hi)
	case c.variant.naive:
		c.naive(s, worker)
	default:
		c.tiles(s, worker)
	}
}

// dots computes scratch for rows lo to hi of (B,NH,T).
func (c *attentionBackward) dots(a *arena, lo, hi int) {
	d, set := &c.dims, c.variant.set
	dout, out, dots := valuesOf(c.dout), valuesOf(c.out), floats(c.scratch)
	x, y := a.take(d.hs), a.take(d.hs)
	for i := lo; i < hi; i++ {
		at := d.row(output, i/d.t, i%d.t)
		dots[i] = set.Dot(dout.load(set, at, d.hs, x), out.load(set, at, d.hs, y))
	}
}

// slot is where a unit's gradient of the queries goes.
func (c *attentionBackward) slot(head, group int) []float32 {
	size := c.dims.packed()
	return c.dq[(group*c.dims.heads()+head)*size:][:size]
}

// queries adds up the groups' gradients of queries lo to hi of (B,NH,T).
func (c *attentionBackward) queries(groups, lo, hi int) {
	d, set, dqkv := &c.dims, c.variant.set, valuesOf(c.dqkv)
	for i := lo; i < hi; i++ {
		head, t := i/d.t, i%d.t
		row := c.slot(head, 0)[t*d.wide:][:d.hs]
		for g := 1; g < groups; g++ {
			set.Add(row, row, c.slot(head, g)[t*d.wide:])
		}
		dqkv.store(set, d.row(query, head, t), row)
	}
}

// tiles does units of key tiles (arXiv:2307.08691, algorithm 2); each unit has its own gradient of the queries, so that no two
// workers add to the same one.
func (c *attentionBackward) tiles(s *Stream, worker int) {
	f := newFlashBackward(c, &s.arenas[worker])
	tiles := (c.dims.t + gradTile - 1) / gradTile
	for {
		head, group, ok := s.units.next()
		if !ok {
			return
		}
		lo, hi := span(tiles, group, s.units.groups)
		f.dq = c.slot(head, group)
		f.unit(head, lo, hi)
	}
}

// gradTile is the number of keys of a tile: whole panels both as rows and as columns.
const gradTile = vec.PanelRows * vec.PanelCols

// flashBackward is a worker's state. All rows are wide apart, those of probabilities and of transposed tiles gradTile.
type flashBackward struct {
	attentionDims
	set       *vec.Set
	qkv, dout values
	dqkv      values
	lse, dots []float32
	q, do, dq []float32 // the packed head: (T, wide)
	k, kT, vT []float32 // a tile
	dk, dv    []float32 // its gradients
	p, dp     []float32 // probabilities and their gradients: (queryTile, gradTile)
}

func newFlashBackward(c *attentionBackward, a *arena) flashBackward {
	d := c.dims
	tile := gradTile * d.wide
	return flashBackward{
		attentionDims: d, set: c.variant.set, qkv: valuesOf(c.qkv), dout: valuesOf(c.dout), dqkv: valuesOf(c.dqkv),
		lse: floats(c.lse), dots: floats(c.scratch),
		q: a.take(d.packed()), do: a.take(d.packed()),
		k: a.take(tile), kT: a.take(tile), vT: a.take(tile), dk: a.take(tile), dv: a.take(tile),
		p: a.take(queryTile * gradTile), dp: a.take(queryTile * gradTile),
	}
}

// unit does key tiles lo to hi of a head, against all queries from the first key on.
func (f *flashBackward) unit(head, lo, hi int) {
	rows := roundUp(f.t, queryTile)
	first := lo * gradTile / queryTile * queryTile
	f.packRows(f.q[first*f.wide:], f.set, f.qkv, query, head, first, rows)
	f.packRows(f.do[first*f.wide:], f.set, f.dout, output, head, first, rows)
	clear(f.dq)
	for tile := lo; tile < hi; tile++ {
		f.tile(head, tile*gradTile)
	}
}

// tile does keys k to k+gradTile.
func (f *flashBackward) tile(head, k int) {
	f.packRows(f.k, f.set, f.qkv, value, head, k, k+gradTile)
	f.set.Transpose(f.vT, gradTile, f.k, f.wide, gradTile, f.wide)
	f.packRows(f.k, f.set, f.qkv, key, head, k, k+gradTile)
	f.set.Transpose(f.kT, gradTile, f.k, f.wide, gradTile, f.wide)
	clear(f.dk)
	clear(f.dv)
	for first := k / queryTile * queryTile; first < f.t; first += queryTile {
		for r := 0; r < queryTile; r += vec.PanelRows {
			f.scores(head, first, r, k)
		}
		f.keys(first, k)
	}
	for j := range min(gradTile, f.t-k) {
		f.dqkv.store(f.set, f.row(key, head, k+j), f.dk[j*f.wide:][:f.hs])
		f.dqkv.store(f.set, f.row(value, head, k+j), f.dv[j*f.wide:][:f.hs])
	}
}

// scores recomputes the probabilities of a panel of queries, their gradients, and what these add to the queries' gradient.
func (f *flashBackward) scores(head, first, r, k int) {
	at := first + r
	keys := min(gradTile, at+vec.PanelRows-k)
	p, dp := f.p[r*gradTile:], f.dp[r*gradTile:]
	if keys <= 0 {
		return
	}
	cols := roundUp(keys, vec.PanelCols)
	f.set.Panel(p, gradTile, f.q[at*f.wide:], f.wide, 1, f.kT, gradTile, cols, f.hs, false)
	f.set.Panel(dp, gradTile, f.do[at*f.wide:], f.wide, 1, f.vT, gradTile, cols, f.hs, false)
	for i := range vec.PanelRows {
		row, grad := p[i*gradTile:][:keys], dp[i*gradTile:][:keys]
		seen := 0
		if at+i < f.t {
			seen = min(keys, max(0, at+i+1-k))
			f.set.ExpSum(row[:seen], row[:seen], f.scale, f.lse[head*f.t+at+i])
			f.set.SoftmaxGrad(grad[:seen], row, grad, f.dots[head*f.t+at+i], f.scale)
		}
		clear(row[seen:])
		clear(grad[seen:])
	}
	f.set.Panel(f.dq[at*f.wide:], f.wide, dp, gradTile, 1, f.k, f.wide, f.wide, keys, true)
}

// keys adds a tile of queries to the gradients of the keys and values: dv += pᵀ·do, dk += dpᵀ·q. Queries before the first key of a
// panel do not see it.
func (f *flashBackward) keys(first, k int) {
	for j := 0; j < gradTile; j += vec.PanelRows {
		skip := max(0, k+j-first)
		skip -= skip % vec.PanelRows // only whole panels of scores were computed
		if skip >= queryTile {
			return
		}
		rows, at := queryTile-skip, (first+skip)*f.wide
		f.set.Panel(f.dv[j*f.wide:], f.wide, f.p[skip*gradTile+j:], 1, gradTile, f.do[at:], f.wide, f.wide, rows, true)
		f.set.Panel(f.dk[j*f.wide:], f.wide, f.dp[skip*gradTile+j:], 1, gradTile, f.q[at:], f.wide, f.wide, rows, true)
	}
}
