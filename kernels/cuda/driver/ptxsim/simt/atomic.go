package simt

import (
	"math"
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// atomicUpdate compiles atom, which gives the old value, and red, which does not. Lanes go one after another.
func atomicUpdate(c *compiler, returns bool) step {
	c.one("relaxed", "acquire", "release", "acq_rel")
	c.one("cta", "gpu", "sys")
	space := c.space()
	op := c.one("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	c.has("noftz")
	t := c.typ()
	first := 0
	d := -1
	if returns {
		d, _ = c.dst(0)
		first = 1
	}
	at, size := spaces[space], uint64(t.Size())
	base, off := c.address(c.arg(first))
	b := c.src(first+1, t)
	swap := b
	if op == "cas" {
		swap = c.src(first+2, t)
	}
	f := atomicFunc(c, op, t)
	return func(w *warp, mask uint32) {
		w.block.grid.memory.atomics.Lock()
		defer w.block.grid.memory.atomics.Unlock()
		addrs := w.regs[base]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			p := at(w, l, addrs[l]+off, size, update)
			old := get(p)
			put(p, f(old, w.regs[b][l], w.regs[swap][l]))
			if d >= 0 {
				w.regs[d][l] = old
			}
		}
	}
}

// atomicFunc gives the new value from the old one and the operands.
func atomicFunc(c *compiler, op string, t ptx.Type) func(old, b, swap uint64) uint64 {
	switch op {
	case "add":
		if t.IsFloat() {
			return atomicSum(c, t)
		}
		return func(old, b, _ uint64) uint64 { return old + b }
	case "min":
		return func(old, b, _ uint64) uint64 {
			if less(t, sext(t, b), sext(t, old)) {
				return b
			}
			return old
		}
	case "max":
		return func(old, b, _ uint64) uint64 {
			if less(t, sext(t, old), sext(t, b)) {
				return b
			}
			return old
		}
	case "and":
		return func(old, b, _ uint64) uint64 { return old & b }
	case "or":
		return func(old, b, _ uint64) uint64 { return old | b }
	case "xor":
		return func(old, b, _ uint64) uint64 { return old ^ b }
	case "exch":
		return func(_, b, _ uint64) uint64 { return b }
	case "cas":
		return func(old, b, swap uint64) uint64 {
			if old == b {
				return swap
			}
			return old
		}
	case "inc":
		return func(old, b, _ uint64) uint64 {
			if old >= b {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, b, _ uint64) uint64 {
			if old == 0 || old > b {
				return b
			}
			return old - 1
		}
	}
	c.fail("no operation named")
	return nil
}

func atomicSum(c *compiler, t ptx.Type) func(old, b, _ uint64) uint64 {
	switch t {
	case "f32":
		return func(old, b, _ uint64) uint64 {
			return bits32(math.Float32frombits(uint32(old)) + math.Float32frombits(uint32(b)))
		}
	case "f64":
		return func(old, b, _ uint64) uint64 {
			return math.Float64bits(math.Float64frombits(old) + math.Float64frombits(b))
		}
	}
	elem, packed := element(t)
	in, out := widen(elem), narrow(elem, "rn")
	if in == nil {
		c.fail("no form for type %s", t)
	}
	f := func(old, b, _ uint64) uint64 { return out(fmaOdd(in(old), 1, in(b))) }
	if packed {
		return halves(f)
	}
	return f
}
