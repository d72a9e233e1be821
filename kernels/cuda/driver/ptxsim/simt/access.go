package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// memoryOps are loads, stores, atomic operations and asynchronous copies.
var memoryOps = map[string]func(*compiler) step{
	"ld":   loadFrom,
	"ldu":  loadFrom,
	"st":   storeTo,
	"atom": func(c *compiler) step { return atomicUpdate(c, true) },
	"red":  func(c *compiler) step { return atomicUpdate(c, false) },
	"cp":   copyAsync,
}

// space takes the state space; "" is the generic one.
func (c *compiler) space() string {
	if s := c.one("global", "shared", "local", "const", "param"); s != "" {
		return s
	}
	if c.has("shared::cta") {
		return "shared"
	}
	return ""
}

// hints takes modifiers of order, scope and caching, which mean nothing where accesses happen at once; but strong accesses may meet those of other blocks.
func (c *compiler) hints() access {
	order := c.one("weak", "relaxed", "acquire", "release", "acq_rel", "volatile")
	c.one("cta", "gpu", "sys")
	c.one("ca", "cg", "cs", "lu", "cv", "wb", "wt")
	c.has("nc")
	c.one("L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate")
	c.one("L2::64B", "L2::128B", "L2::256B")
	if order == "" || order == "weak" {
		return 0
	}
	return strong
}

// address is the register and offset of a memory operand.
func (c *compiler) address(o ptx.Operand) (base int, off uint64) {
	if o.Kind != ptx.Mem {
		c.fail("an address is missing")
	}
	return c.value(o.Sub[0], "u64"), uint64(o.Off)
}

// vector takes .v2 or .v4 and gives the operands of a vector, or the one operand.
func (c *compiler) vector(o ptx.Operand) []ptx.Operand {
	n := map[string]int{"": 1, "v2": 2, "v4": 4}[c.one("v2", "v4")]
	parts := []ptx.Operand{o}
	if o.Kind == ptx.Vector {
		parts = o.Sub
	}
	if len(parts) != n {
		c.fail("%d operands for a vector of %d", len(parts), n)
	}
	return parts
}

func loadFrom(c *compiler) step {
	space := c.space()
	if space == "param" {
		return c.loadParam()
	}
	a := load | c.hints()
	parts := c.vector(c.arg(0))
	t := c.typ()
	at, size := spaces[space], uint64(t.Size())
	base, off := c.address(c.arg(1))
	regs, masks := make([]int, len(parts)), make([]uint64, len(parts))
	for i, p := range parts {
		regs[i], masks[i] = c.target(p)
	}
	if len(parts) == 1 {
		return loadOne(regs[0], masks[0], base, off, t, at, a)
	}
	total, wide := size*uint64(len(parts)), widthOf(t)
	return func(w *warp, mask uint32) {
		addrs := w.regs[base] // a copy: a destination may be the base
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			b := at(w, l, addrs[l]+off, total, a)
			for i, r := range regs {
				w.regs[r][l] = wide.of(get(b[uint64(i)*size:][:size])) & masks[i]
			}
		}
	}
}

func loadOne(d int, width uint64, base int, off uint64, t ptx.Type, at at, a access) step {
	size, wide := uint64(t.Size()), widthOf(t)
	return func(w *warp, mask uint32) {
		d, addrs := &w.regs[d], &w.regs[base]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			d[l] = wide.of(get(at(w, l, addrs[l]+off, size, a))) & width
		}
	}
}

// loadParam reads a launch parameter: the low bytes of its cell.
func (c *compiler) loadParam() step {
	t := c.typ()
	d, width := c.dst(0)
	o := c.arg(1)
	if o.Kind != ptx.Mem || o.Sub[0].Kind != ptx.Symbol {
		c.fail("a parameter is read by its name")
	}
	s := c.symbol(o.Sub[0].Name)
	if off := o.Sub[0].Off + o.Off; s.space != "param" || off != 0 || t.Size() > s.size {
		c.fail("a parameter is read as a whole")
	}
	cell := s.addr / 8
	return func(w *warp, mask uint32) {
		v := sext(t, w.block.grid.Params[cell]) & width
		for m := mask; m != 0; m &= m - 1 {
			w.regs[d][bits.TrailingZeros32(m)&31] = v
		}
	}
}

func storeTo(c *compiler) step {
	space := c.space()
	a := store | c.hints()
	if space == "param" || space == "const" {
		c.fail("the space is read only")
	}
	parts := c.vector(c.arg(1))
	t := c.typ()
	at, size := spaces[space], uint64(t.Size())
	base, off := c.address(c.arg(0))
	regs := make([]int, len(parts))
	for i, p := range parts {
		regs[i] = c.value(p, t)
	}
	total := size * uint64(len(parts))
	return func(w *warp, mask uint32) {
		addrs := &w.regs[base]
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			b := at(w, l, addrs[l]+off, total, a)
			for i, r := range regs {
				put(b[uint64(i)*size:][:size], w.regs[r][l])
			}
		}
	}
}
