package cpu

import (
	"math"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// attentionDims are the dims of qkv (B,T,3,NH,HS) and out (B,T,NH,HS).
type attentionDims struct {
	b, t, nh, hs int
	wide         int     // hs rounded up to whole panels
	scale        float32 // 1/√HS
}

func dimsOf(qkv kernels.Tensor) attentionDims {
	s := qkv.Shape
	return attentionDims{b: s[0], t: s[1], nh: s[3], hs: s[4], wide: roundUp(s[4], vec.PanelCols), scale: float32(1 / math.Sqrt(float64(s[4])))}
}

// roundUp is the next multiple of step from n.
func roundUp(n, step int) int { return (n + step - 1) / step * step }

// heads is the number of independent heads of the batch.
func (d *attentionDims) heads() int { return d.b * d.nh }

// packed is the number of elements of a head in whole tiles of queries, its rows wide apart.
func (d *attentionDims) packed() int { return roundUp(d.t, queryTile) * d.wide }

// work is the number of multiply-adds of a product of scores.
func (d *attentionDims) work() int { return d.heads() * d.t * d.t * d.hs }

// The parts of a token's qkv, and its output.
const (
	query = iota
	key
	value
	output
)

// row is where row t of a part of a head starts in qkv, or in out for the output; head counts over the batch.
func (d *attentionDims) row(part, head, t int) int {
	token, head := head/d.nh*d.t+t, head%d.nh
	if part == output {
		return (token*d.nh + head) * d.hs
	}
	return ((token*3+part)*d.nh + head) * d.hs
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

// stride is the distance of a head's rows in qkv, or in out for the output.
func (d *attentionDims) stride(part int) int {
	if part == output {
		return d.nh * d.hs
	}
	return 3 * d.nh * d.hs
}
