package cpu

import (
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type attentionBackward struct {
	dqkv, dkv, scratch, dout, out, lse, qkv, kv kernels.Tensor

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
		dims: dimsOf(qkv, kernels.Tensor{}), variant: s.dev.chosen[kernels.OpAttention],
	})
}

// AttentionExtendBackward adds what kv (B,U,2,NH,HS) contributed to the queries of dqkv and to dkv; see kernels.Ops.
func (s *Stream) AttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendBackward(dqkv, dkv, scratch, dout, lse, qkv, kv)
	enqueue(s, &s.pools.attentionBackward, attentionBackward{
		dqkv: dqkv, dkv: dkv, scratch: scratch, dout: dout, lse: lse, qkv: qkv, kv: kv,
		dims: dimsOf(qkv, kv), variant: s.dev.chosen[kernels.OpAttention], phase: tilePhase,
	})
}

func (c *attentionBackward) run(s *Stream) {
	d := &c.dims
	tiles := (d.u + gradTile - 1) / gradTile
	if c.variant.naive {
		tiles = 1
	}
	s.units.start(d.heads(), tiles, s.workers(d.work()))
	s.common.reset()
	c.dq = s.common.take(s.units.groups * d.heads() * d.packed())
	for ; c.phase <= queryPhase; c.phase++ {
		s.share(c, d.work())
	}
}

func (c *attentionBackward) part(s *Stream, worker, workers int) {
	switch {
	case c.phase == dotPhase:
		lo, hi := span(c.dims.b*c.dims.t, worker, workers)
		c.dots(&s.arenas[worker], lo, hi)
	case c.phase == queryPhase:
		lo, hi := span(c.dims.heads()*c.dims.t, worker, workers)
		c.queries(&s.arenas[worker], s.units.groups, lo, hi)
	case c.variant.naive:
		c.naive(s, worker)
	default:
		c.flash(s, worker)
	}
}

// dots computes scratch for tokens lo to hi, in the order of memory.
func (c *attentionBackward) dots(a *arena, lo, hi int) {
	d, set := &c.dims, c.variant.set
	dout, out, dots := valuesOf(c.dout), valuesOf(c.out), floats(c.scratch)
	width := d.nh * d.hs
	xBuf, yBuf := a.take(width), a.take(width)
	for i := lo; i < hi; i++ {
		x, y := dout.load(set, i*width, width, xBuf), out.load(set, i*width, width, yBuf)
		for h := range d.nh {
			dots[(i/d.t*d.nh+h)*d.t+i%d.t] = set.Dot(x[h*d.hs:][:d.hs], y[h*d.hs:])
		}
	}
}

// slot is where a unit's gradient of the queries goes.
func (c *attentionBackward) slot(head, group int) []float32 {
	size := c.dims.packed()
	return c.dq[(group*c.dims.heads()+head)*size:][:size]
}

// firstQuery is the first query that a group of key tiles adds to.
func (c *attentionBackward) firstQuery(group, groups int) int {
	if c.dims.extends {
		return 0
	}
	lo, _ := span((c.dims.t+gradTile-1)/gradTile, group, groups)
	return lo * gradTile
}

// queries adds up the groups' gradients of queries lo to hi of (B,NH,T).
func (c *attentionBackward) queries(a *arena, groups, lo, hi int) {
	d, set, dqkv := &c.dims, c.variant.set, valuesOf(c.dqkv)
	var there []float32
	if d.extends {
		there = a.take(d.packed())
	}
	for lo < hi {
		head, first := lo/d.t, lo%d.t
		last := min(d.t, first+hi-lo)
		sum := c.slot(head, 0)
		for g := 1; g < groups; g++ {
			if from := max(first, c.firstQuery(g, groups)); from < last {
				more := sum[from*d.wide : last*d.wide]
				set.Add(more, more, c.slot(head, g)[from*d.wide:])
			}
		}
		if d.extends {
			more, n := sum[first*d.wide:], (last-first-1)*d.wide+d.hs
			dqkv.gather(set, there, d.wide, d.row(query, head, first), d.stride(query), last-first, d.hs)
			set.Add(more[:n], more, there)
		}
		dqkv.scatter(set, d.row(query, head, first), d.stride(query), sum[first*d.wide:], d.wide, last-first, d.hs)
		lo += last - first
	}
}

// flash does units of key tiles (arXiv:2307.08691, algorithm 2); each unit has its own gradient of the queries, so that no two
// workers add to the same one.
func (c *attentionBackward) flash(s *Stream, worker int) {
	f := newFlashBackward(c, &s.arenas[worker])
	tiles := (c.dims.u + gradTile - 1) / gradTile
	for {
		head, group, ok := s.units.next()
		if !ok {
			return
		}
		lo, hi := span(tiles, group, s.units.groups)
		f.dq, f.firstKey = c.slot(head, group), lo*gradTile
		f.unit(head, lo, hi)
	}
}

// gradTile is the number of keys of a tile: whole panels both as rows and as columns.
const gradTile = vec.PanelRows * vec.PanelCols

// flashBackward is a worker's state. A suffix L or R marks a left or right operand of products, T a transposed one.
type flashBackward struct {
	tiles
	qkv, dout values
	kv, dkv   values // qkv and dqkv where these have the keys and values
	lse, dots []float32
	qL, doL   []float32 // the packed head: (T, wide/depth)
	qR, doR   []float32 // (T/depth, wide)
	kR        []float32 // a tile of keys: (gradTile/depth, wide)
	kT, vT    []float32 // (wide/depth, gradTile)
	dq        []float32 // gradients of the packed head, from the unit's first key on: (T, wide)
	dk, dv    []float32 // and of the tile: (gradTile, wide)
	s, ds     []float32 // scores and the gradients of probabilities: (queryTile, gradTile), with pairs one panel of it
	pL, dpL   []float32 // probabilities and the gradients of scores: (queryTile, gradTile/depth)
	pR, dpR   []float32 // the same, transposed, as left operands: (queryTile/depth, gradTile)
	firstKey  int       // of the unit
}

func newFlashBackward(c *attentionBackward, a *arena) flashBackward {
	d, qkv := c.dims, valuesOf(c.qkv)
	tile, square := gradTile*d.wide, queryTile*gradTile
	f := flashBackward{
		tiles: newTiles(d, c.variant, qkv, a), qkv: qkv, dout: valuesOf(c.dout),
		kv: valuesOf(orQKV(c.kv, c.qkv)), dkv: valuesOf(orQKV(c.dkv, c.dqkv)),
		lse: floats(c.lse), dots: floats(c.scratch),
		qL: a.take(d.packed()), doL: a.take(d.packed()),
		kR: a.take(tile), kT: a.take(tile), vT: a.take(tile), dk: a.take(tile), dv: a.take(tile),
	}
	if f.depth == 1 {
		f.qR, f.doR = f.qL, f.doL
		f.s, f.ds = a.take(square), a.take(square)
		f.pL, f.dpL = f.s, f.ds
		return f
	}
	f.qR, f.doR = a.take(d.packed()/2), a.take(d.packed()/2)
	f.s, f.ds = a.take(vec.PanelRows*gradTile), a.take(vec.PanelRows*gradTile)
	f.pL, f.dpL, f.pR, f.dpR = a.take(square/2), a.take(square/2), a.take(square/2), a.take(square/2)
	return f
}

// unit does key tiles lo to hi of a head, against all queries that see one of them.
func (f *flashBackward) unit(head, lo, hi int) {
	rows := roundUp(f.t, queryTile)
	first := f.first(lo * gradTile)
	at := first * f.wide / f.depth
	f.packLeft(f.qL[at:], f.qkv, query, head, first, rows)
	f.packLeft(f.doL[at:], f.dout, output, head, first, rows)
	if f.depth > 1 {
		f.packRight(f.qR[at:], f.qkv, query, head, first, rows)
		f.packRight(f.doR[at:], f.dout, output, head, first, rows)
	}
	for tile := lo; tile < hi; tile++ {
		f.tile(head, tile*gradTile)
	}
}

// tile does keys k to k+gradTile.
func (f *flashBackward) tile(head, k int) {
	f.packTurned(f.vT, f.kv, value, head, k, k+gradTile)
	f.packTurned(f.kT, f.kv, key, head, k, k+gradTile)
	f.packRight(f.kR, f.kv, key, head, k, k+gradTile)
	if f.extends {
		f.packFloats(f.dk, f.dkv, key, head, k, k+gradTile)
		f.packFloats(f.dv, f.dkv, value, head, k, k+gradTile)
	}
	for first := f.first(k); first < f.t; first += queryTile {
		for r := 0; r < queryTile; r += vec.PanelRows {
			f.scores(head, first, r, k)
		}
		f.keys(first, k)
	}
	rows := min(gradTile, f.u-k)
	f.dkv.scatter(f.set, f.row(key, head, k), f.stride(key), f.dk, f.wide, rows, f.hs)
	f.dkv.scatter(f.set, f.row(value, head, k), f.stride(value), f.dv, f.wide, rows, f.hs)
}

// scores recomputes the probabilities of a panel of queries, their gradients, and what these add to the queries' gradient.
func (f *flashBackward) scores(head, first, r, k int) {
	at := first + r
	keys := min(gradTile, roundUp(f.before(at+vec.PanelRows)-k, 2))
	if keys <= 0 {
		return
	}
	s, ds := f.s, f.ds
	if f.depth == 1 {
		s, ds = s[r*gradTile:], ds[r*gradTile:]
	}
	pitch, wide, cols := gradTile/f.depth, f.wide/f.depth, roundUp(keys, vec.PanelCols)
	f.product(s, gradTile, f.qL[at*wide:], wide, 1, f.kT, gradTile, cols, f.hs, false)
	f.product(ds, gradTile, f.doL[at*wide:], wide, 1, f.vT, gradTile, cols, f.hs, false)
	for i := range vec.PanelRows {
		seen, row := 0, (r+i)*pitch
		if at+i < f.t {
			seen = min(keys, max(0, f.before(at+i+1)-k))
			f.softmaxGrad(head*f.t+at+i, row, s[i*gradTile:][:seen], ds[i*gradTile:])
		}
		f.hide(f.pL[row:], seen, keys)
		f.hide(f.dpL[row:], seen, keys)
	}
	f.product(f.dq[at*f.wide:], f.wide, f.dpL[r*pitch:], pitch, 1, f.kR, f.wide, f.wide, keys, k > f.firstKey)
}

// softmaxGrad leaves the probabilities of a row of (B,NH,T), and the gradients of its scores, in pL and dpL.
func (f *flashBackward) softmaxGrad(of, row int, s, ds []float32) {
	if f.depth == 1 {
		f.set.ExpSum(s, s, f.scale, f.lse[of])
		f.set.SoftmaxGrad(ds[:len(s)], s, ds, f.dots[of], f.scale)
		return
	}
	f.set.ScoreGradBF16(halves(f.pL[row:], gradTile), halves(f.dpL[row:], gradTile), s, ds, f.scale, f.lse[of], f.dots[of])
}

// keys adds a tile of queries to the gradients of the keys and values: dv += pᵀ·do, dk += dpᵀ·q. Queries before the first key of a
// panel do not see it.
func (f *flashBackward) keys(first, k int) {
	p, dp := f.right(f.pR, f.pL, queryTile, gradTile), f.right(f.dpR, f.dpL, queryTile, gradTile)
	for j := 0; j < min(gradTile, f.u-k); j += vec.PanelRows {
		skip := max(0, k+j-first)
		if f.extends {
			skip = 0
		} else if skip >= queryTile {
			return
		}
		rows, from, at := queryTile-skip, skip/f.depth*gradTile+j, (first+skip)/f.depth*f.wide
		seenBefore := f.extends || first > f.first(k+j)
		f.product(f.dv[j*f.wide:], f.wide, p[from:], 1, gradTile, f.doR[at:], f.wide, f.wide, rows, seenBefore)
		f.product(f.dk[j*f.wide:], f.wide, dp[from:], 1, gradTile, f.qR[at:], f.wide, f.wide, rows, seenBefore)
	}
}
