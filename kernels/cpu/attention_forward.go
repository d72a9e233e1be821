package cpu

import (
	"math"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

type attentionForward struct {
	out, lse, qkv, kv kernels.Tensor
	dims              attentionDims
	variant           variant
}

// AttentionForward is causal multi-head attention on qkv (B,T,3,NH,HS); see kernels.Ops. Its scratch is two packed heads and a few
// tiles for each worker.
func (s *Stream) AttentionForward(out, lse, qkv kernels.Tensor) {
	kernels.CheckAttentionForward(out, lse, qkv)
	s.attend(out, lse, qkv, kernels.Tensor{})
}

// AttentionExtendForward makes out (B,T,NH,HS) and lse (B,NH,T) the attention to kv (B,U,2,NH,HS) too; see kernels.Ops.
func (s *Stream) AttentionExtendForward(out, lse, qkv, kv kernels.Tensor) {
	kernels.CheckAttentionExtendForward(out, lse, qkv, kv)
	s.attend(out, lse, qkv, kv)
}

func (s *Stream) attend(out, lse, qkv, kv kernels.Tensor) {
	enqueue(s, &s.pools.attentionForward, attentionForward{out, lse, qkv, kv, dimsOf(qkv, kv), s.dev.chosen[kernels.OpAttention]})
}

func (c *attentionForward) run(s *Stream) {
	tiles := (c.dims.t + queryTile - 1) / queryTile
	if c.variant.naive {
		tiles = 1
	}
	s.units.start(c.dims.heads(), tiles, s.workers(c.dims.work()))
	s.share(c, c.dims.work())
}

func (c *attentionForward) part(s *Stream, worker, _ int) {
	if c.variant.naive {
		c.naive(s, worker)
		return
	}
	f := newFlashForward(c, &s.arenas[worker])
	tiles := (c.dims.t + queryTile - 1) / queryTile
	for {
		head, group, ok := s.units.next()
		if !ok {
			return
		}
		lo, hi := span(tiles, group, s.units.groups)
		f.unit(head, lo, hi)
	}
}

// Tiles of FlashAttention-2's forward pass (arXiv:2307.08691, algorithm 1): a panel of six queries against keyTile keys at a time,
// so that the scores stay in the first-level cache.
const (
	queryTile = 8 * vec.PanelRows
	keyTile   = 128
)

// flashForward is a worker's state over a tile of queries.
type flashForward struct {
	tiles
	qkv, kv, dst values // kv is qkv where that has the keys and values
	lse          []float32
	kT           []float32 // packed head, transposed tile by tile: (T/keyTile, wide/depth, keyTile)
	v            []float32 // packed head: (T/depth, wide)
	q            []float32 // (queryTile, wide/depth)
	o            []float32 // unnormalized outputs: (queryTile, wide)
	scores       []float32 // one panel: (PanelRows, keyTile)
	p            []float32 // its exponentials as a left operand: (PanelRows, keyTile/depth)
	top, sum     []float32 // of each query: the largest score so far, and Σ exp(score-top)
}

func newFlashForward(c *attentionForward, a *arena) flashForward {
	d, qkv := c.dims, valuesOf(c.qkv)
	keys, tile, panel := roundUp(d.u, keyTile)*d.wide, queryTile*d.wide, vec.PanelRows*keyTile
	f := flashForward{
		tiles: newTiles(d, c.variant, qkv, a), qkv: qkv, kv: valuesOf(orQKV(c.kv, c.qkv)), dst: valuesOf(c.out), lse: floats(c.lse),
		kT: a.take(keys), v: a.take(keys), q: a.take(tile), o: a.take(tile), scores: a.take(panel),
		top: a.take(queryTile), sum: a.take(queryTile),
	}
	f.p = f.scores
	if f.depth > 1 {
		f.p = a.take(panel / f.depth)
	}
	return f
}

// unit does tiles lo to hi of the queries of a head.
func (f *flashForward) unit(head, lo, hi int) {
	for k := 0; k < min(f.u, f.before(hi*queryTile)); k += keyTile {
		f.packTurned(f.kT[k*f.wide/f.depth:], f.kv, key, head, k, k+keyTile)
		f.packRight(f.v[k*f.wide/f.depth:], f.kv, value, head, k, k+keyTile)
	}
	for tile := lo; tile < hi; tile++ {
		f.tile(head, tile*queryTile)
	}
}

// tile does the queries from first on.
func (f *flashForward) tile(head, first int) {
	rows := min(queryTile, roundUp(f.t-first, vec.PanelRows))
	f.packLeft(f.q, f.qkv, query, head, first, first+rows)
	f.start(head, first, rows)
	for k := 0; k < min(f.u, f.before(first+rows)); k += keyTile {
		for r := 0; r < rows; r += vec.PanelRows {
			if f.before(first+r+vec.PanelRows) > k {
				f.panel(first, r, k)
			}
		}
	}
	rows = min(rows, f.t-first)
	for r := range rows {
		o := f.o[r*f.wide:][:f.hs]
		f.set.Scale(o, o, 1/f.sum[r])
		f.lse[head*f.t+first+r] = f.top[r] + float32(math.Log(float64(f.sum[r])))
	}
	f.dst.scatter(f.set, f.row(output, head, first), f.stride(output), f.o, f.wide, rows, f.hs)
}

// start sets the queries from first on to what their attention starts from: nothing, or the attention that it extends.
func (f *flashForward) start(head, first, rows int) {
	for r := range rows {
		f.top[r], f.sum[r] = float32(math.Inf(-1)), 0
	}
	if !f.extends {
		return
	}
	there := min(rows, f.t-first)
	f.packFloats(f.o, f.dst, output, head, first, first+rows)
	copy(f.top, f.lse[head*f.t+first:][:there])
	for r := range there {
		f.sum[r] = 1
	}
}

// panel adds keys k to k+keyTile to queries first+r to first+r+PanelRows. A key past the last query of the panel is not touched;
// one past some query counts as zero there.
func (f *flashForward) panel(first, r, k int) {
	keys := min(keyTile, roundUp(f.before(first+r+vec.PanelRows)-k, 2))
	wide, at := f.wide/f.depth, k*f.wide/f.depth
	f.product(f.scores, keyTile, f.q[r*wide:], wide, 1, f.kT[at:], keyTile, roundUp(keys, vec.PanelCols), f.hs, false)
	for i := range vec.PanelRows {
		row, seen := f.p[i*keyTile/f.depth:], min(keys, max(0, f.before(first+r+i+1)-k))
		if seen > 0 {
			f.softmax(r+i, row, f.scores[i*keyTile:][:seen])
		}
		f.hide(row, seen, keys)
	}
	f.product(f.o[r*f.wide:], f.wide, f.p, keyTile/f.depth, 1, f.v[at:], f.wide, f.wide, keys, k > 0 || f.extends)
}

// softmax writes exp(scale·score-top) of scores of query r to p. Where top rises, what was summed so far shrinks.
func (f *flashForward) softmax(r int, p, scores []float32) {
	var top, sum float32
	if f.depth == 1 {
		top, sum = f.set.Softmax(scores, f.scale, f.top[r])
	} else {
		top, sum = f.set.SoftmaxBF16(halves(p, keyTile), scores, f.scale, f.top[r])
	}
	if top > f.top[r] && f.sum[r] > 0 {
		shrink := float32(math.Exp(float64(f.top[r] - top)))
		f.sum[r] *= shrink
		o := f.o[r*f.wide:][:f.wide]
		f.set.Scale(o, o, shrink)
	}
	f.top[r] = top
	f.sum[r] += sum
}
