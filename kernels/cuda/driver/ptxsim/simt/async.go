package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// copies are a warp's asynchronous copies to shared memory that were not waited for. A copy takes effect as late as the ISA allows: at the wait.
type copies struct {
	pending []pendingCopy
	groups  [warpSize]int // committed by each lane
}

type pendingCopy struct {
	lane, group int
	dst, src    uint64
	n, size     uint64 // bytes to write, and how many of them come from src; the rest is zero
}

func (c *copies) reset() { *c = copies{pending: c.pending[:0]} }

// copyAsync compiles cp.async and its groups.
func copyAsync(c *compiler) step {
	c.need("async")
	switch {
	case c.has("commit_group"):
		return func(w *warp, mask uint32) {
			for m := mask; m != 0; m &= m - 1 {
				w.copies.groups[bits.TrailingZeros32(m)&31]++
			}
		}
	case c.has("wait_group"):
		n := c.arg(0)
		if n.Kind != ptx.Int {
			c.fail("the number of groups is no constant")
		}
		return func(w *warp, mask uint32) {
			w.finish(mask, func(p pendingCopy) bool { return p.group < w.copies.groups[p.lane]-int(n.Bits) })
		}
	case c.has("wait_all"):
		return func(w *warp, mask uint32) { w.finish(mask, func(pendingCopy) bool { return true }) }
	}
	return c.startCopy()
}

func (c *compiler) startCopy() step {
	c.one("ca", "cg")
	if !c.has("shared") && !c.has("shared::cta") {
		c.fail("the target is no shared memory")
	}
	c.need("global")
	c.hints()
	n := c.arg(2)
	if n.Kind != ptx.Int || n.Bits != 4 && n.Bits != 8 && n.Bits != 16 {
		c.fail("copies are of 4, 8 or 16 bytes")
	}
	dst, dstOff := c.address(c.arg(0))
	src, srcOff := c.address(c.arg(1))
	size := c.constant(n.Bits)
	if len(c.in.Args) > 3 {
		size = c.src(3, "u32")
	}
	return func(w *warp, mask uint32) {
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			p := pendingCopy{l, w.copies.groups[l], w.regs[dst][l] + dstOff, w.regs[src][l] + srcOff, n.Bits, w.regs[size][l]}
			if p.size > p.n {
				w.fault(l, driver.ErrLaunchFailed, "%d bytes to copy of %d", p.size, p.n)
			}
			w.sharedAt(l, p.dst, p.n, store)
			w.block.shared.launchCopy(p.dst, p.n, true)
			w.copies.pending = append(w.copies.pending, p)
		}
	}
}

// finish carries out the pending copies of a mask's lanes that are due.
func (w *warp) finish(mask uint32, due func(pendingCopy) bool) {
	left := w.copies.pending[:0]
	for _, p := range w.copies.pending {
		if mask>>p.lane&1 == 0 || !due(p) {
			left = append(left, p)
			continue
		}
		w.block.shared.launchCopy(p.dst, p.n, false)
		to := w.sharedAt(p.lane, p.dst, p.n, store)
		clear(to)
		if p.size > 0 {
			if p.src%p.n != 0 {
				w.fault(p.lane, driver.ErrMisalignedAddress, "the source %#x of an asynchronous copy of %d bytes is misaligned", p.src, p.n)
			}
			if p.size == p.n {
				copy(to, w.globalAt(p.lane, p.src, p.n, load))
				continue
			}
			for i := range p.size { // any number of bytes may be asked for
				to[i] = w.globalAt(p.lane, p.src+i, 1, load)[0]
			}
		}
	}
	w.copies.pending = left
}
