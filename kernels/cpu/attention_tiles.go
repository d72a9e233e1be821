package cpu

import (
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/vec"
)

// tiles are the operands of attention's small products, in one of two forms: float32 elements, or pairs of bfloat16 that lie along
// the sum. A pair fills one element, so that both forms have the same shapes but for a division by depth. A left operand of pairs is
// rows of 16-bit values, a right one pairs of rows.
type tiles struct {
	attentionDims
	set   *vec.Set
	depth int       // 1, or 2 for pairs
	rows  []float32 // a packed tile before it is transposed: (keyTile, wide/depth)
}

func newTiles(d attentionDims, v variant, qkv values, a *arena) tiles {
	t := tiles{attentionDims: d, set: v.set, depth: 1, rows: a.take(keyTile * d.wide)}
	if v.bf16 && qkv.t == kernels.BF16 {
		t.depth = 2
	}
	return t
}

// packLeft packs rows lo to hi of a part of a head as a left operand (rows, wide/depth). Columns past HS and rows past the last are zero.
func (t *tiles) packLeft(dst []float32, x values, part, head, lo, hi int) {
	if t.depth == 1 {
		t.packFloats(dst, x, part, head, lo, hi)
		return
	}
	rows, words := max(0, min(hi, t.length(part))-lo), halves(dst, (hi-lo)*t.wide)
	if rows > 0 {
		t.set.GatherHalves(words, t.wide, x.f16[t.row(part, head, lo):], t.stride(part), rows, t.hs)
	}
	clearRest(words, t.wide, rows, t.hs)
}

// packFloats is packLeft to float32 elements.
func (t *tiles) packFloats(dst []float32, x values, part, head, lo, hi int) {
	rows := max(0, min(hi, t.length(part))-lo)
	if rows > 0 {
		x.gather(t.set, dst, t.wide, t.row(part, head, lo), t.stride(part), rows, t.hs)
	}
	clearRest(dst[:(hi-lo)*t.wide], t.wide, rows, t.hs)
}

// packRight packs rows lo to hi, an even number, of a part of a head as a right operand (rows/depth, wide).
func (t *tiles) packRight(dst []float32, x values, part, head, lo, hi int) {
	if t.depth == 1 {
		t.packLeft(dst, x, part, head, lo, hi)
		return
	}
	rows := max(0, min(hi, t.length(part))-lo)
	if rows > 0 {
		t.set.Weave(dst, t.wide, x.f16[t.row(part, head, lo):], t.stride(part), rows, t.hs)
	}
	clearRest(dst[:(hi-lo)/2*t.wide], t.wide, (rows+1)/2, t.hs)
}

// clearRest clears what rows of n elements leave in rows of width.
func clearRest[T float32 | uint16](x []T, width, rows, n int) {
	for i := 0; i < rows && n < width; i++ {
		clear(x[i*width+n : (i+1)*width])
	}
	clear(x[rows*width:])
}

// packTurned packs rows lo to hi, at most keyTile, as the right operand of a product over HS: (wide/depth, rows).
func (t *tiles) packTurned(dst []float32, x values, part, head, lo, hi int) {
	n, width := hi-lo, t.wide/t.depth
	t.packLeft(t.rows, x, part, head, lo, hi)
	t.set.Transpose(dst, n, t.rows, width, n, width)
}

// right makes a right operand of a left one, whose rows lie one after the other. dst is used only if the left one itself does not serve.
func (t *tiles) right(dst, left []float32, rows, n int) []float32 {
	if t.depth == 1 {
		return left
	}
	t.set.Weave(dst, n, halves(left, rows*n), n, rows, n)
	return dst
}

// hide clears the elements of a row of a left operand from seen to keys.
func (t *tiles) hide(row []float32, seen, keys int) {
	if t.depth == 1 {
		clear(row[seen:keys])
		return
	}
	if whole := roundUp(seen, vec.PanelCols); whole < keys { // what rounds to bfloat16 clears the rest of a vector itself
		clear(halves(row, keys)[whole:])
	}
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
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x[:(n+1)/2]))), n)
}
