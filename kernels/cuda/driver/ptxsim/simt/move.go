package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// moveOps move and convert (PTX ISA, section "Data Movement and Conversion Instructions").
var moveOps = map[string]func(*compiler) step{
	"mov":  move,
	"cvt":  convert,
	"cvta": convertAddress,
	// Hints and orders of memory have no effect here: accesses happen at once, and streams order what is between kernels.
	"membar":   fence,
	"fence":    fence,
	"prefetch": hint, "prefetchu": hint, "discard": hint, "applypriority": hint,
}

func nothing(*warp, uint32) {}

func fence(c *compiler) step {
	if c.one("cta", "gl", "sys", "acq_rel", "sc", "proxy") == "" {
		c.fail("no scope named")
	}
	c.one("cta", "gpu", "sys", "async", "alias")
	return nothing
}

func hint(c *compiler) step {
	c.mods = nil
	return nothing
}

// move copies a register, or packs one from parts, or takes one apart.
func move(c *compiler) step {
	t := c.typ()
	dst, src := c.arg(0), c.arg(1)
	switch {
	case t == "pred":
		set, a := c.predDst(dst), c.predSrc(src)
		return func(w *warp, mask uint32) { set(w, mask, a(w)) }
	case dst.Kind == ptx.Vector:
		return c.unpack(dst.Sub, t)
	case src.Kind == ptx.Vector:
		return c.pack(src.Sub, t)
	}
	d, width := c.dst(0)
	a := c.src(1, t)
	return func(w *warp, mask uint32) {
		d, a := &w.regs[d], &w.regs[a]
		if mask == full {
			for l := range d {
				d[l] = a[l] & width
			}
			return
		}
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = a[l] & width
		}
	}
}

func (c *compiler) unpack(parts []ptx.Operand, t ptx.Type) step {
	a, size := c.src(1, t), 8*t.Size()/len(parts)
	regs := make([]int, len(parts))
	for i, p := range parts {
		regs[i], _ = c.target(p)
	}
	return func(w *warp, mask uint32) {
		in := w.regs[a]
		for i, r := range regs {
			d := &w.regs[r]
			for m := mask; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				d[l] = in[l] >> (i * size) & (1<<size - 1)
			}
		}
	}
}

func (c *compiler) pack(parts []ptx.Operand, t ptx.Type) step {
	d, _ := c.dst(0)
	size := 8 * t.Size() / len(parts)
	regs := make([]int, len(parts))
	for i, p := range parts {
		regs[i] = c.value(p, t)
	}
	return func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			v := uint64(0)
			for i, r := range regs {
				v |= w.regs[r][l] & (1<<size - 1) << (i * size)
			}
			w.regs[d][l] = v
		}
	}
}

// convertAddress changes between a space's addresses and generic ones, which are the same here.
func convertAddress(c *compiler) step {
	c.has("to")
	if c.one("global", "shared", "local", "const") == "" {
		c.fail("no space named")
	}
	return c.unary(c.typ(), func(a uint64) uint64 { return a })
}
