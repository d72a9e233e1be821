package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// unary compiles d = f(a) on the current instruction's operands of type t.
func (c *compiler) unary(t ptx.Type, f func(a uint64) uint64) step {
	d, width := c.dst(0)
	a := c.src(1, t)
	return func(w *warp, mask uint32) {
		d, a := &w.regs[d], &w.regs[a]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = f(a[l]) & width
		}
	}
}

// binary compiles d = f(a, b).
func (c *compiler) binary(t ptx.Type, f func(a, b uint64) uint64) step { return c.binary2(t, t, f) }

// binary2 compiles d = f(a, b) with a second operand of another type.
func (c *compiler) binary2(ta, tb ptx.Type, f func(a, b uint64) uint64) step {
	d, width := c.dst(0)
	a, b := c.src(1, ta), c.src(2, tb)
	return func(w *warp, mask uint32) {
		d, a, b := &w.regs[d], &w.regs[a], &w.regs[b]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = f(a[l], b[l]) & width
		}
	}
}

// ternary compiles d = f(a, b, e).
func (c *compiler) ternary(ta, tb, te ptx.Type, f func(a, b, e uint64) uint64) step {
	d, width := c.dst(0)
	a, b, e := c.src(1, ta), c.src(2, tb), c.src(3, te)
	return func(w *warp, mask uint32) {
		d, a, b, e := &w.regs[d], &w.regs[a], &w.regs[b], &w.regs[e]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = f(a[l], b[l], e[l]) & width
		}
	}
}

// width widens the low bits of a register.
type width struct {
	unused uint8 // bits above
	signed bool
}

func widthOf(t ptx.Type) width { return width{uint8(64 - 8*t.Size()), t.Signed()} }

// of widens a value with its sign, or with zeros.
func (w width) of(v uint64) uint64 {
	if w.signed {
		return uint64(int64(v<<w.unused) >> w.unused)
	}
	return v << w.unused >> w.unused
}

// sext widens a value of type t with its sign, or with zeros where t is unsigned.
func sext(t ptx.Type, v uint64) uint64 { return widthOf(t).of(v) }

// widened is f on operands widened from type t.
func widened(t ptx.Type, f func(a, b uint64) uint64) func(a, b uint64) uint64 {
	wide := widthOf(t)
	return func(a, b uint64) uint64 { return f(wide.of(a), wide.of(b)) }
}
