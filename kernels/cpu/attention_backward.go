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
		c.flash(s, worker)
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

// flash does units of key tiles (arXiv:2307.08691, algorithm 2); each unit has its own gradient of the queries, so that no two
// workers add to the same one.
func (c *attentionBackward) flash(s *Stream, worker int) {
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

// flashBackward is a worker's state. A suffix L or R marks a left or right operand of products, T a transposed one.
type flashBackward struct {
	tiles
	qkv, dout values
	dqkv      values
	lse, dots []float32
	qL, doL   []float32 // the packed head: (T, wide/depth)
	qR, doR   []float32 // (T/depth, wide)
	kR        []float32 // a tile of keys: (gradTile/depth, wide)
	kT, vT    []float32 // (wide/depth, gradTile)
	dq        []float32 // gradients of the packed head: (T, wide)
	dk, dv    []float32 // and of the tile: (gradTile, wide)
	p, dp     []float32 // probabilities and the gradients of scores: (queryTile, gradTile)
	pR, dpR   []float32 // the same, transposed, as left operands: pairs of rows
	dpL       []float32 // one panel: (PanelRows, gradTile/depth)
}

func newFlashBackward(c *attentionBackward, a *arena) flashBackward {
	d, qkv := c.dims, valuesOf(c.qkv)
	tile, square := gradTile*d.wide, queryTile*gradTile
	f := flashBackward{
		tiles: newTiles(d, c.variant, qkv, a), qkv: qkv, dout: valuesOf(c.dout), dqkv: valuesOf(c.dqkv),
		lse: floats(c.lse), dots: floats(c.scratch),
		qL: a.take(d.packed()), doL: a.take(d.packed()),
		kR: a.take(tile), kT: a.take(tile), vT: a.take(tile), dk: a.take(tile), dv: a.take(tile),
		p: a.take(square), dp: a.take(square),
	}
	f.qR, f.doR = f.qL, f.doL
	if f.depth > 1 {
		f.qR, f.doR = a.take(d.packed()), a.take(d.packed())
		f.pR, f.dpR, f.dpL = a.take(square), a.take(square), a.take(vec.PanelRows*gradTile)
	}
	return f
}

// unit does key tiles lo to hi of a head, against all queries from the first key on.
func (f *flashBackward) unit(head, lo, hi int) {
	rows := roundUp(f.t, queryTile)
	first := lo * gradTile / queryTile * queryTile
	at := first * f.wide / f.depth
	f.packLeft(f.qL[at:], f.qkv, query, head, first, rows)
	f.packLeft(f.doL[at:], f.dout, output, head, first, rows)
	if f.depth > 1 {
		f.packRight(f.qR[at:], f.qkv, query, head, first, rows)
		f.packRight(f.doR[at:], f.dout, output, head, first, rows)
	}
	clear(f.dq)
	for tile := lo; tile < hi; tile++ {
		f.tile(head, tile*gradTile)
	}
}

// tile does keys k to k+gradTile.
func (f *flashBackward) tile(head, k int) {
	f.packTurned(f.vT, f.qkv, value, head, k, k+gradTile)
	f.packTurned(f.kT, f.qkv, key, head, k, k+gradTile)
	f.packRight(f.kR, f.qkv, key, head, k, k+gradTile)
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
	keys := min(gradTile, at+vec.PanelRows-k) // even, like all three
	if keys <= 0 {
		return
	}
	p, dp := f.p[r*gradTile:], f.dp[r*gradTile:]
	wide, cols := f.wide/f.depth, roundUp(keys, vec.PanelCols)
	f.product(p, gradTile, f.qL[at*wide:], wide, 1, f.kT, gradTile, cols, f.hs, false)
	f.product(dp, gradTile, f.doL[at*wide:], wide, 1, f.vT, gradTile, cols, f.hs, false)
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
	left := f.left(f.dpL, dp[:vec.PanelRows*gradTile])
	f.product(f.dq[at*f.wide:], f.wide, left, gradTile/f.depth, 1, f.kR, f.wide, f.wide, keys, true)
}

// keys adds a tile of queries to the gradients of the keys and values: dv += pᵀ·do, dk += dpᵀ·q. Queries before the first key of a
// panel do not see it.
func (f *flashBackward) keys(first, k int) {
	p, dp := f.right(f.pR, f.p, gradTile), f.right(f.dpR, f.dp, gradTile)
	for j := 0; j < gradTile; j += vec.PanelRows {
		skip := max(0, k+j-first)
		skip -= skip % vec.PanelRows // only whole panels of scores were computed
		if skip >= queryTile {
			return
		}
		rows, from, at := queryTile-skip, skip/f.depth*gradTile+j, (first+skip)/f.depth*f.wide
		f.product(f.dv[j*f.wide:], f.wide, p[from:], 1, gradTile, f.doR[at:], f.wide, f.wide, rows, true)
		f.product(f.dk[j*f.wide:], f.wide, dp[from:], 1, gradTile, f.qR[at:], f.wide, f.wide, rows, true)
	}
}
