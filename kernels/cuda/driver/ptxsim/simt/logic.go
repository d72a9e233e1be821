package simt

import "ofpeak/kernels/cuda/driver/ptxsim/ptx"

// logicOps are bitwise opcodes and shifts (PTX ISA, section "Logic and Shift Instructions").
var logicOps = map[string]func(*compiler) step{
	"and":  bitwise(func(a, b uint64) uint64 { return a & b }),
	"or":   bitwise(func(a, b uint64) uint64 { return a | b }),
	"xor":  bitwise(func(a, b uint64) uint64 { return a ^ b }),
	"not":  not,
	"cnot": func(c *compiler) step { return c.unary(c.typ(), func(a uint64) uint64 { return boolBit(a == 0) }) },
	"shl":  shiftLeft,
	"shr":  shiftRight,
	"shf":  funnelShift,
	"lop3": logicTable,
	"prmt": permuteBytes,
}

func boolBit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// bitwise compiles an opcode that also works on predicates, which are masks of lanes.
func bitwise(f func(a, b uint64) uint64) func(*compiler) step {
	return func(c *compiler) step {
		t := c.typ()
		if t != "pred" {
			return c.binary(t, f)
		}
		set, a, b := c.predDst(c.arg(0)), c.predSrc(c.arg(1)), c.predSrc(c.arg(2))
		return func(w *warp, mask uint32) { set(w, mask, uint32(f(uint64(a(w)), uint64(b(w))))) }
	}
}

func not(c *compiler) step {
	t := c.typ()
	if t != "pred" {
		return c.unary(t, func(a uint64) uint64 { return ^a })
	}
	set, a := c.predDst(c.arg(0)), c.predSrc(c.arg(1))
	return func(w *warp, mask uint32) { set(w, mask, ^a(w)) }
}

// Shifts by the width or more give zero, or the sign.
func shiftLeft(c *compiler) step {
	t := c.typ()
	return c.binary2(t, "u32", func(a, n uint64) uint64 { return a << (n & 0xffffffff) })
}

func shiftRight(c *compiler) step {
	t := c.typ()
	return c.binary2(t, "u32", func(a, n uint64) uint64 {
		if t.Signed() {
			return uint64(int64(sext(t, a)) >> (n & 0xffffffff))
		}
		return a >> (n & 0xffffffff)
	})
}

// funnelShift shifts the pair b:a and keeps its upper half (.l) or lower half (.r).
func funnelShift(c *compiler) step {
	left, wrap := c.one("l", "r") == "l", c.one("wrap", "clamp") == "wrap"
	t := c.typ()
	return c.ternary(t, t, "u32", func(a, b, n uint64) uint64 {
		if wrap {
			n &= 31
		} else {
			n = min(n, 32)
		}
		pair := b<<32 | a
		if left {
			return pair << n >> 32
		}
		return pair >> n
	})
}

// logicTable looks every bit of a, b and c up in an 8-bit table, the last operand.
func logicTable(c *compiler) step {
	t, table := c.typ(), c.arg(4)
	if table.Kind != ptx.Int {
		c.fail("the table is no constant")
	}
	return c.ternary(t, t, t, func(a, b, e uint64) uint64 {
		v := uint64(0)
		for i := range 8 {
			if table.Bits>>i&1 == 1 {
				v |= flip(a, i&4) & flip(b, i&2) & flip(e, i&1)
			}
		}
		return v
	})
}

// flip is v where keep is not 0, else its complement.
func flip(v uint64, keep int) uint64 {
	if keep != 0 {
		return v
	}
	return ^v
}

// permuteBytes picks four of the eight bytes of b:a; a selector's high bit spreads the byte's sign.
func permuteBytes(c *compiler) step {
	t := c.typ()
	return c.ternary(t, t, "u32", func(a, b, sel uint64) uint64 {
		pair, v := b<<32|a, uint64(0)
		for i := range 4 {
			s := sel >> (4 * i)
			x := pair >> (8 * (s & 7)) & 0xff
			if s&8 != 0 {
				x = -(x >> 7) & 0xff
			}
			v |= x << (8 * i)
		}
		return v
	})
}
