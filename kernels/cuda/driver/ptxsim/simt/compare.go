package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// compareOps compare and select (PTX ISA, section "Comparison and Selection Instructions").
var compareOps = map[string]func(*compiler) step{
	"setp": setPredicate,
	"set":  setValue,
	"selp": selectByPredicate,
	"slct": selectBySign,
}

// orders maps a comparison to what it accepts of less, equal, greater and unordered. The integer forms lo, ls, hi and hs are unsigned.
var orders = map[string]uint8{
	"lt": 1, "eq": 2, "le": 3, "gt": 4, "ne": 5, "ge": 6, "num": 7, "nan": 8,
	"ltu": 9, "equ": 10, "leu": 11, "gtu": 12, "neu": 13, "geu": 14,
	"lo": 1, "ls": 3, "hi": 4, "hs": 6,
}

// comparison takes the comparison and the type of its operands.
func (c *compiler) comparison() (test uint8) {
	for name, accepted := range orders {
		if c.has(name) {
			return accepted
		}
	}
	c.fail("a comparison is missing")
	return 0
}

// order tells how two values of a type compare: a bit of the sets in orders.
func order(c *compiler, t ptx.Type, ftz bool) func(a, b uint64) uint8 {
	if t.IsFloat() {
		in := widen(t)
		if in == nil {
			c.fail("no form for type %s", t)
		}
		return func(a, b uint64) uint8 {
			if ftz && t == "f32" {
				a, b = flushed(a), flushed(b)
			}
			return rank(in(a), in(b))
		}
	}
	wide := widthOf(t)
	if t.Signed() {
		return func(a, b uint64) uint8 { return rank(int64(wide.of(a)), int64(wide.of(b))) }
	}
	return func(a, b uint64) uint8 { return rank(wide.of(a), wide.of(b)) }
}

func rank[T int64 | uint64 | float64](a, b T) uint8 {
	switch {
	case a < b:
		return 1
	case a == b:
		return 2
	case a > b:
		return 4
	}
	return 8
}

// combine is the boolean operation with a third predicate, if one is named.
func (c *compiler) combine() func(w *warp, v uint32) uint32 {
	op := c.one("and", "or", "xor")
	if op == "" {
		return func(_ *warp, v uint32) uint32 { return v }
	}
	p := c.predSrc(c.arg(3))
	switch op {
	case "and":
		return func(w *warp, v uint32) uint32 { return v & p(w) }
	case "or":
		return func(w *warp, v uint32) uint32 { return v | p(w) }
	}
	return func(w *warp, v uint32) uint32 { return v ^ p(w) }
}

func setPredicate(c *compiler) step {
	test, combine, ftz := c.comparison(), c.combine(), c.has("ftz")
	t := c.typ()
	compare := order(c, t, ftz)
	dst, second := c.arg(0), ptx.Operand{Kind: ptx.Sink}
	if dst.Kind == ptx.Pair {
		dst, second = dst.Sub[0], dst.Sub[1]
	}
	set, setNot := c.predDst(dst), c.predDst(second)
	a, b := c.src(1, t), c.src(2, t)
	return func(w *warp, mask uint32) {
		v := compareLanes(w, mask, a, b, test, compare)
		yes, no := combine(w, v), combine(w, ^v)
		set(w, mask, yes)
		setNot(w, mask, no)
	}
}

// compareLanes is the mask of lanes whose comparison is among the accepted.
func compareLanes(w *warp, mask uint32, ra, rb int, accepted uint8, compare func(a, b uint64) uint8) uint32 {
	a, b, v := &w.regs[ra], &w.regs[rb], uint32(0)
	for m := mask; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		if compare(a[l], b[l])&accepted != 0 {
			v |= 1 << l
		}
	}
	return v
}

// setValue gives all ones, or 1.0, where the comparison holds.
func setValue(c *compiler) step {
	test, combine, ftz := c.comparison(), c.combine(), c.has("ftz")
	result, t := c.typ(), c.typ()
	yes := ^uint64(0)
	if result == "f32" {
		yes = 0x3f800000
	}
	compare := order(c, t, ftz)
	d, width := c.dst(0)
	a, b := c.src(1, t), c.src(2, t)
	return func(w *warp, mask uint32) {
		v := combine(w, compareLanes(w, mask, a, b, test, compare))
		for l := range warpSize {
			if mask>>l&1 == 1 {
				w.regs[d][l] = -uint64(v>>l&1) & yes & width
			}
		}
	}
}

func selectByPredicate(c *compiler) step {
	t := c.typ()
	d, width := c.dst(0)
	a, b, p := c.src(1, t), c.src(2, t), c.predSrc(c.arg(3))
	return func(w *warp, mask uint32) {
		d, a, b, p := &w.regs[d], &w.regs[a], &w.regs[b], p(w)
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			v := b[l]
			if p>>l&1 == 1 {
				v = a[l]
			}
			d[l] = v & width
		}
	}
}

// selectBySign gives a where the third operand is not negative, else b; a NaN counts as negative.
func selectBySign(c *compiler) step {
	ftz := c.has("ftz")
	t, by := c.typ(), c.typ()
	compare := order(c, by, ftz)
	return c.ternary(t, t, by, func(a, b, e uint64) uint64 {
		if compare(e, 0)&(2|4) != 0 {
			return a
		}
		return b
	})
}
