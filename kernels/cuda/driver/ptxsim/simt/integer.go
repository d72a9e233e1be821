package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// integerOps are the integer forms of arithmetic (PTX ISA, section "Integer Arithmetic Instructions"). Opcodes that also work on floats hand those on.
var integerOps = map[string]func(*compiler) step{
	"add": arithmetic(floatAdd, func(t ptx.Type, a, b uint64) uint64 { return a + b }),
	"sub": arithmetic(floatSub, func(t ptx.Type, a, b uint64) uint64 { return a - b }),
	"min": arithmetic(floatMin, func(t ptx.Type, a, b uint64) uint64 {
		if less(t, b, a) {
			return b
		}
		return a
	}),
	"max": arithmetic(floatMax, func(t ptx.Type, a, b uint64) uint64 {
		if less(t, a, b) {
			return b
		}
		return a
	}),
	"div":  arithmetic(floatDiv, divide),
	"rem":  arithmetic(nil, remainder),
	"mul":  multiply,
	"mad":  multiplyAdd,
	"neg":  negate,
	"abs":  absolute,
	"sad":  sumAbsDiff,
	"popc": bitCount(func(size int, a uint64) uint64 { return uint64(bits.OnesCount64(a)) }),
	"clz":  bitCount(func(size int, a uint64) uint64 { return uint64(bits.LeadingZeros64(a) - (64 - 8*size)) }),
	"brev": func(c *compiler) step {
		t := c.typ()
		return c.unary(t, func(a uint64) uint64 { return bits.Reverse64(a) >> (64 - 8*t.Size()) })
	},
	"bfe":   bitFieldExtract,
	"bfi":   bitFieldInsert,
	"bfind": bitFind,
	"dp4a":  dotFour,
}

func less(t ptx.Type, a, b uint64) bool {
	if t.Signed() {
		return int64(a) < int64(b)
	}
	return a < b
}

// arithmetic compiles a binary opcode: the integer form f on widened operands, or the float form.
func arithmetic(float func(*compiler, ptx.Type) step, f func(t ptx.Type, a, b uint64) uint64) func(*compiler) step {
	return func(c *compiler) step {
		t := c.typ()
		if t.IsFloat() {
			if float == nil {
				c.fail("no form for type %s", t)
			}
			return float(c, t)
		}
		if c.has("sat") {
			if t != "s32" || c.in.Op != "add" && c.in.Op != "sub" {
				c.fail("only 32-bit signed sums and differences saturate")
			}
			return c.binary(t, widened(t, func(a, b uint64) uint64 {
				return uint64(max(min(int64(f(t, a, b)), 1<<31-1), -1<<31))
			}))
		}
		if (c.in.Op == "add" || c.in.Op == "sub") && (t.Size() == 4 || t.Size() == 8) {
			return c.sum(t)
		}
		return c.binary(t, widened(t, func(a, b uint64) uint64 { return f(t, a, b) }))
	}
}

// sum is add or sub without a call for each lane: they are half of all instructions.
func (c *compiler) sum(t ptx.Type) step {
	d, width := c.dst(0)
	a, b := c.src(1, t), c.src(2, t)
	sign := uint64(1)
	if c.in.Op == "sub" {
		sign = ^uint64(0)
	}
	return func(w *warp, mask uint32) {
		d, a, b := &w.regs[d], &w.regs[a], &w.regs[b]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = (a[l] + sign*b[l]) & width
		}
	}
}

// divide gives all ones for a division by zero, as GPUs do; the ISA leaves it open.
func divide(t ptx.Type, a, b uint64) uint64 {
	switch {
	case b == 0:
		return ^uint64(0)
	case t.Signed():
		return uint64(int64(a) / int64(b))
	}
	return a / b
}

func remainder(t ptx.Type, a, b uint64) uint64 {
	switch {
	case b == 0:
		return a
	case t.Signed():
		return uint64(int64(a) % int64(b))
	}
	return a % b
}

// product compiles the part of a product that .lo, .hi or .wide names.
func product(t ptx.Type, part string) func(a, b uint64) uint64 {
	size := t.Size()
	if part != "hi" {
		return widened(t, func(a, b uint64) uint64 { return a * b })
	}
	return widened(t, func(a, b uint64) uint64 {
		if size < 8 {
			return a * b >> (8 * size)
		}
		hi, _ := bits.Mul64(a, b)
		if t.Signed() {
			hi -= a&uint64(int64(b)>>63) + b&uint64(int64(a)>>63)
		}
		return hi
	})
}

// part takes .lo, .hi or .wide, and gives the type of the result.
func (c *compiler) part(t ptx.Type) (string, ptx.Type) {
	part := c.one("lo", "hi", "wide")
	if part == "" {
		c.fail("one of .lo, .hi and .wide is missing")
	}
	if part != "wide" {
		return part, t
	}
	wide := map[ptx.Type]ptx.Type{"s16": "s32", "u16": "u32", "s32": "s64", "u32": "u64"}[t]
	if wide == "" {
		c.fail("type %s has no wide product", t)
	}
	return part, wide
}

func multiply(c *compiler) step {
	t := c.typ()
	if t.IsFloat() {
		return floatMul(c, t)
	}
	part, _ := c.part(t)
	return c.binary(t, product(t, part))
}

func multiplyAdd(c *compiler) step {
	t := c.typ()
	if t.IsFloat() {
		return floatFMA(c, t)
	}
	part, sum := c.part(t)
	f := product(t, part)
	return c.ternary(t, t, sum, func(a, b, e uint64) uint64 { return f(a, b) + e })
}

func negate(c *compiler) step {
	t := c.typ()
	if t.IsFloat() {
		return floatSign(c, t, func(v, sign uint64) uint64 { return v ^ sign })
	}
	return c.unary(t, func(a uint64) uint64 { return -a })
}

func absolute(c *compiler) step {
	t := c.typ()
	if t.IsFloat() {
		return floatSign(c, t, func(v, sign uint64) uint64 { return v &^ sign })
	}
	return c.unary(t, func(a uint64) uint64 {
		if v := int64(sext(t, a)); v < 0 {
			return uint64(-v)
		}
		return a
	})
}

func sumAbsDiff(c *compiler) step {
	t := c.typ()
	return c.ternary(t, t, t, func(a, b, e uint64) uint64 {
		a, b = sext(t, a), sext(t, b)
		if less(t, a, b) {
			a, b = b, a
		}
		return a - b + e
	})
}

func bitCount(f func(size int, a uint64) uint64) func(*compiler) step {
	return func(c *compiler) step {
		t := c.typ()
		return c.unary(t, func(a uint64) uint64 { return f(t.Size(), a) })
	}
}

func bitFieldExtract(c *compiler) step {
	t := c.typ()
	top := 8*t.Size() - 1
	return c.ternary(t, "u32", "u32", func(a, pos, n uint64) uint64 {
		p, size := int(pos&0xff), int(n&0xff)
		sign := uint64(0)
		if t.Signed() && size > 0 {
			sign = -(a >> min(p+size-1, top) & 1)
		}
		v := uint64(0)
		for i := 0; i <= top; i++ {
			bit := sign & 1
			if i < size && p+i <= top {
				bit = a >> (p + i) & 1
			}
			v |= bit << i
		}
		return v
	})
}

func bitFieldInsert(c *compiler) step {
	t := c.typ()
	d, width := c.dst(0)
	a, b, pos, n := c.src(1, t), c.src(2, t), c.src(3, "u32"), c.src(4, "u32")
	return func(w *warp, mask uint32) {
		for l := range warpSize {
			if mask>>l&1 == 0 {
				continue
			}
			p := w.regs[pos][l] & 0xff
			field := (uint64(1)<<(w.regs[n][l]&0xff) - 1) << p
			w.regs[d][l] = (w.regs[b][l]&^field | w.regs[a][l]<<p&field) & width
		}
	}
}

// bitFind gives the place of the highest bit that differs from the sign, all ones if none does.
func bitFind(c *compiler) step {
	shift := c.has("shiftamt")
	t := c.typ()
	return c.unary(t, func(a uint64) uint64 {
		v := sext(t, a)
		if t.Signed() && int64(v) < 0 {
			v = ^v
		}
		at := bits.Len64(v) - 1
		if at >= 0 && shift {
			at = 8*t.Size() - 1 - at
		}
		return uint64(at) & 0xffffffff
	})
}

func dotFour(c *compiler) step {
	ta, tb := c.typ(), c.typ()
	byteOf := func(t ptx.Type, v uint64, i int) int64 {
		if t.Signed() {
			return int64(int8(v >> (8 * i)))
		}
		return int64(uint8(v >> (8 * i)))
	}
	return c.ternary(ta, tb, "s32", func(a, b, e uint64) uint64 {
		sum := int64(e)
		for i := range 4 {
			sum += byteOf(ta, a, i) * byteOf(tb, b, i)
		}
		return uint64(sum)
	})
}
