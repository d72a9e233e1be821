package cpu

import (
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// tiles are the operands of attention's small products, in one of two forms: float32 elements, or pairs of bfloat16 that lie along
// the sum. A pair fills one element, so that both forms have the same shapes but for a division by depth.
type tiles struct {
	attentionDims
	set   *vec.Set
	depth int       // 1, or 2 for pairs
	rows  []float32 // a packed tile on its way into another form: (keyTile, wide)
	turn  []float32 // the same, before it is transposed
}

func newTiles(d attentionDims, v variant, qkv values, a *arena) tiles {
	t := tiles{attentionDims: d, set: v.set, depth: 1, rows: a.take(keyTile * d.wide)}
	if v.bf16 && qkv.t == kernels.BF16 {
		t.depth, t.turn = 2, a.take(keyTile*d.wide)
	}
	return t
}

// left puts rows, which lie one after the other, in the form of a left operand: pairs of neighbours. dst is used only if rows
// themselves do not serve.
func (t *tiles) left(dst, rows []float32) []float32 {
	if t.depth == 1 {
		return rows
	}
	t.set.ToBF16(halves(dst, len(rows)), rows)
	return dst
}

// right puts rows of n elements in the form of a right operand: pairs of rows.
func (t *tiles) right(dst, rows []float32, n int) []float32 {
	if t.depth == 1 {
		return rows
	}
	for i := 0; i < len(rows)/n; i += 2 {
		t.set.Pairs(dst[i/2*n:][:n], rows[i*n:], rows[(i+1)*n:])
	}
	return dst
}

// packLeft packs rows lo to hi of a part of a head as a left operand (rows, wide/depth).
func (t *tiles) packLeft(dst []float32, x values, part, head, lo, hi int) {
	if t.depth == 1 {
		t.packRows(dst, t.set, x, part, head, lo, hi)
		return
	}
	for ; lo < hi; lo += keyTile {
		n := min(keyTile, hi-lo)
		t.packRows(t.rows, t.set, x, part, head, lo, lo+n)
		t.left(dst, t.rows[:n*t.wide])
		dst = dst[n*t.wide/2:]
	}
}

// packRight packs rows lo to hi of a part of a head as a right operand (rows/depth, wide).
func (t *tiles) packRight(dst []float32, x values, part, head, lo, hi int) {
	if t.depth == 1 {
		t.packRows(dst, t.set, x, part, head, lo, hi)
		return
	}
	for ; lo < hi; lo += keyTile {
		n := min(keyTile, hi-lo)
		t.packRows(t.rows, t.set, x, part, head, lo, lo+n)
		t.right(dst, t.rows[:n*t.wide], t.wide)
		dst = dst[n*t.wide/2:]
	}
}

// packTurned packs rows lo to hi, at most keyTile, as the right operand of a product over HS: (wide/depth, rows).
func (t *tiles) packTurned(dst []float32, x values, part, head, lo, hi int) {
	n := hi - lo
	t.packRows(t.rows, t.set, x, part, head, lo, hi)
	units := t.left(t.turn, t.rows[:n*t.wide])
	t.set.Transpose(dst, n, units, t.wide/t.depth, n, t.wide/t.depth)
}

// product is vec's Panel over k elements, which are a multiple of depth or end in zeros.
func (t *tiles) product(c []float32, ldc int, a []float32, ars, acs int, b []float32, ldb, n, k int, add bool) {
	if t.depth == 1 {
		t.set.Panel(c, ldc, a, ars, acs, b, ldb, n, k, add)
	} else {
		t.set.PanelBF16(c, ldc, a, ars, acs, b, ldb, n, (k+1)/2, add)
	}
}

// halves views scratch as n 16-bit values.
func halves(x []float32, n int) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), n)
}
