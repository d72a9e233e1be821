package simt

import (
	"math"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// tile is the shape of one product D = A·B + C (PTX ISA, section "Warp Level Matrix Multiply-Accumulate Instructions"): A is 16 by k, B k by 8.
//
// All shapes share one layout. A register holds e = 32/width elements of one row of A, or one column of B. Register i of lane l holds row l/4 + 8·(i mod 2) of A,
// columns e·(l mod 4) and on, 4e further for each two registers; in B, column l/4 and rows e·(l mod 4) and on, 4e further for each register.
type tile struct{ a, b []int }

// matrixMultiply compiles mma.sync with float32 or float16 sums of 16-bit or tf32 elements, and int32 sums of 8-bit ones.
func matrixMultiply(c *compiler) step {
	if c.has("sp") {
		return sparseMultiply(c)
	}
	c.need("sync")
	c.need("aligned")
	k := map[string]int{"m16n8k4": 4, "m16n8k8": 8, "m16n8k16": 16, "m16n8k32": 32}[c.one("m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32")]
	c.need("row")
	c.need("col")
	finite := c.has("satfinite")
	td, ta, tb, tc := c.typ(), c.typ(), c.typ(), c.typ()
	per := 4 / max(ta.Size(), 1)
	if k == 0 || td != tc || ta.Size() != tb.Size() || k != 4*per && k != 8*per {
		c.fail("this shape and these types do not go together")
	}
	d, _ := c.registers(0)
	a, na := c.registers(1)
	b, nb := c.registers(2)
	sums, ns := c.registers(3)
	want := 4
	if td == "f16" {
		want = 2
	}
	if na != k/(2*per) || nb != k/(4*per) || ns != want || len(d) != want {
		c.fail("the number of registers does not fit the shape")
	}
	t := tile{a, b}
	if td == "s32" {
		return intTile(c, t, d, sums, k, ta, tb, finite)
	}
	if ta != tb || ta != "f16" && ta != "bf16" && ta != "tf32" || td == "f16" && ta != "f16" || td != "f16" && td != "f32" {
		c.fail("this shape and these types do not go together")
	}
	return floatTile(b, d, sums, k, ta, td, func(w *warp, a *[16][32]float64) { w.spread(a[:], t.a, true, ta) })
}

// registers are those of a vector operand.
func (c *compiler) registers(i int) ([]int, int) {
	o := c.arg(i)
	parts := o.Sub
	if o.Kind != ptx.Vector {
		parts = []ptx.Operand{o}
	}
	regs := make([]int, len(parts))
	for j, p := range parts {
		if i == 0 {
			regs[j], _ = c.target(p)
		} else {
			regs[j] = c.value(p, "b32")
		}
	}
	return regs, len(regs)
}

// values copies the registers of sums, which may be destinations too.
func (w *warp) values(regs []int) (v [4]lanes) {
	for i, r := range regs {
		v[i] = w.regs[r]
	}
	return v
}

// eachElement calls f for the place of every element of A or B that a register holds.
func eachElement(regs []int, per int, isA bool, w *warp, f func(major, k int, bits uint32)) {
	for i, r := range regs {
		major, step := 0, i
		if isA {
			major, step = i%2*8, i/2
		}
		for l, v := range w.regs[r] {
			for e := range per {
				f(l/4+major, step*4*per+l%4*per+e, uint32(v)>>(32/per*e))
			}
		}
	}
}

// spread puts the values of A's or B's elements at their places.
func (w *warp) spread(to [][32]float64, regs []int, isA bool, t ptx.Type) {
	half, brain := t == "f16", t == "bf16"
	for i, r := range regs {
		major, step := 0, i
		if isA {
			major, step = i%2*8, i/2
		}
		for l, v := range &w.regs[r] {
			row := &to[l/4+major]
			switch {
			case half:
				k := (step*8 + l%4*2) & 31
				row[k], row[k|1] = fromHalf(uint16(v)), fromHalf(uint16(v>>16))
			case brain:
				k := (step*8 + l%4*2) & 31
				row[k], row[k|1] = float64(math.Float32frombits(uint32(v)<<16)), float64(math.Float32frombits(uint32(v)&0xffff0000))
			default: // tf32: hardware ignores the low bits
				row[(step*4+l%4)&31] = float64(math.Float32frombits(uint32(v) &^ 0x1fff))
			}
		}
	}
}

// decode gives the value of the low bits of an element.
func decode(t ptx.Type) func(uint32) float64 {
	switch t {
	case "f16":
		return func(v uint32) float64 { return fromHalf(uint16(v)) }
	case "bf16":
		return func(v uint32) float64 { return float64(math.Float32frombits(v << 16)) }
	}
	panic("simt: no such element")
}

// floatTile sums in float64 and rounds each sum once. left fills in A, which is zero before.
func floatTile(right, d, sums []int, k int, elem, out ptx.Type, left func(*warp, *[16][32]float64)) step {
	in, round := widen(out), narrow(out, "rn")
	return func(w *warp, mask uint32) {
		w.whole(mask)
		var a [16][32]float64
		var b [8][32]float64
		left(w, &a)
		w.spread(b[:], right, false, elem)
		before := w.values(sums)
		for l := range warpSize {
			for i := range 4 {
				row, col := &a[l/4+i/2*8], &b[l%4*2+i%2]
				sum := 0.0
				for j := range k {
					sum += row[j] * col[j]
				}
				if out == "f16" {
					shift := i % 2 * 16
					v := round(sum + in(before[i/2][l]>>shift&0xffff))
					w.regs[d[i/2]][l] = w.regs[d[i/2]][l]&^(0xffff<<shift) | v<<shift
					continue
				}
				w.regs[d[i]][l] = round(sum + in(before[i][l]))
			}
		}
	}
}

// intTile sums exactly and wraps around, or clamps with .satfinite.
func intTile(c *compiler, t tile, d, sums []int, k int, ta, tb ptx.Type, finite bool) step {
	if ta.Size() != 1 {
		c.fail("this shape and these types do not go together")
	}
	return func(w *warp, mask uint32) {
		w.whole(mask)
		var a [16][32]int64
		var b [8][32]int64
		eachElement(t.a, 4, true, w, func(row, k int, v uint32) { a[row][k] = int64(sext(ta, uint64(v&0xff))) })
		eachElement(t.b, 4, false, w, func(col, k int, v uint32) { b[col][k] = int64(sext(tb, uint64(v&0xff))) })
		before := w.values(sums)
		for l := range warpSize {
			for i := range 4 {
				row, col := &a[l/4+i/2*8], &b[l%4*2+i%2]
				sum := int64(int32(before[i][l]))
				for j := range k {
					sum += row[j] * col[j]
				}
				if finite {
					sum = max(min(sum, math.MaxInt32), math.MinInt32)
				}
				w.regs[d[i]][l] = uint64(uint32(sum))
			}
		}
	}
}
