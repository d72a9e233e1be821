package cpu

import (
	"math"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// attentionDims are the dims of qkv (B,T,3,NH,HS), out (B,T,NH,HS) and, where the attention extends another, kv (B,U,2,NH,HS), which then has the
// keys and values. Else they are in qkv, and U is T.
type attentionDims struct {
	b, t, u, nh, hs int
	extends         bool    // every query sees every key; else those up to its own position
	wide            int     // hs rounded up to whole panels
	scale           float32 // 1/√HS
}

func dimsOf(qkv, kv kernels.Tensor) attentionDims {
	s := qkv.Shape
	d := attentionDims{b: s[0], t: s[1], u: s[1], nh: s[3], hs: s[4], wide: roundUp(s[4], vec.PanelCols), scale: float32(1 / math.Sqrt(float64(s[4])))}
	if d.extends = !kv.None(); d.extends {
		d.u = kv.Dim(1)
	}
	return d
}

// orQKV is the tensor that has keys and values: other, or qkv where that is absent.
func orQKV(other, qkv kernels.Tensor) kernels.Tensor {
	if other.None() {
		return qkv
	}
	return other
}

// roundUp is the next multiple of step from n.
func roundUp(n, step int) int { return (n + step - 1) / step * step }

// heads is the number of independent heads of the batch.
func (d *attentionDims) heads() int { return d.b * d.nh }

// before is the number of keys that at least one of the queries before query t sees.
func (d *attentionDims) before(t int) int {
	if d.extends {
		return d.u
	}
	return t
}

// first is the first query that sees key u, at the start of a tile of queries.
func (d *attentionDims) first(u int) int {
	if d.extends {
		return 0
	}
	return u / queryTile * queryTile
}

// packed is the number of elements of a head in whole tiles of queries, its rows wide apart.
func (d *attentionDims) packed() int { return roundUp(d.t, queryTile) * d.wide }

// work is the number of multiply-adds of a product of scores.
func (d *attentionDims) work() int { return d.heads() * d.t * d.u * d.hs }

// The parts of a token's qkv, and its output.
const (
	query = iota
	key
	value
	output
)

// row is where row t of a part of a head starts in qkv, in kv, or in out for the output; head counts over the batch.
func (d *attentionDims) row(part, head, t int) int {
	token, head := head/d.nh*d.length(part)+t, head%d.nh
	switch {
	case part == output:
		return (token*d.nh + head) * d.hs
	case d.further(part):
		return ((token*2+part-key)*d.nh + head) * d.hs
	}
	return ((token*3+part)*d.nh + head) * d.hs
}

// further tells whether a part is in kv.
func (d *attentionDims) further(part int) bool { return d.extends && (part == key || part == value) }

// length is the number of a part's rows in a head.
func (d *attentionDims) length(part int) int {
	if d.further(part) {
		return d.u
	}
	return d.t
}

// units cuts every head into groups of tiles, so that there are some for each worker, and hands them out to whoever is free: the
// last first, since under a causal mask later queries cost more.
type units struct {
	heads, groups int
	taken         atomic.Int64
}

// unitsPerWorker evens out the differences between units.
const unitsPerWorker = 4

func (u *units) start(heads, tiles, workers int) {
	u.heads, u.groups = heads, 1
	if workers > 1 {
		u.groups = min(tiles, (unitsPerWorker*workers+heads-1)/heads)
	}
	u.taken.Store(0)
}

// next takes a unit: one group of one head.
func (u *units) next() (head, group int, ok bool) {
	i := int(u.taken.Add(1)) - 1
	return i % u.heads, u.groups - 1 - i/u.heads, i < u.heads*u.groups
}

// stride is the distance of a head's rows in qkv, in kv, or in out for the output.
func (d *attentionDims) stride(part int) int {
	switch {
	case part == output:
		return d.nh * d.hs
	case d.further(part):
		return 2 * d.nh * d.hs
	}
	return 3 * d.nh * d.hs
}
