package simt

import (
	"math/bits"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// warpOps are opcodes whose lanes work together.
var warpOps = map[string]func(*compiler) step{
	"shfl":       shuffle,
	"vote":       vote,
	"match":      match,
	"redux":      reduce,
	"activemask": activeMask,
	"elect":      elect,
	"mma":        matrixMultiply,
	"ldmatrix":   loadMatrix,
}

// together checks that the lanes which a member mask names are those that run.
func (w *warp) together(mask uint32, members int) {
	l := firstLane(mask)
	if named := uint32(w.regs[members][l]); named != mask {
		if lost := named & w.live &^ mask; lost != 0 {
			w.fault(firstLane(lost), driver.ErrLaunchFailed, "the member mask %#x names this thread, which is on another path", named)
		}
		if extra := mask &^ named; extra != 0 {
			w.fault(firstLane(extra), driver.ErrLaunchFailed, "the member mask %#x leaves out this thread, which runs the instruction", named)
		}
	}
}

// warpSync compiles bar.warp.sync, the barrier of one warp.
func (c *compiler) warpSync() step {
	c.need("sync")
	members := c.src(0, "u32")
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		if mask == w.live {
			w.synced = w.block.tick()
		}
	}
}

// shuffle gives each lane another lane's value (PTX ISA, "shfl.sync"). c holds the last lane of a segment and, above it, the segments' mask.
func shuffle(c *compiler) step {
	c.need("sync")
	mode := c.one("up", "down", "bfly", "idx")
	t := c.typ()
	dst, inRange := c.arg(0), ptx.Operand{Kind: ptx.Sink}
	if dst.Kind == ptx.Pair {
		dst, inRange = dst.Sub[0], dst.Sub[1]
	}
	d, _ := c.target(dst)
	set := c.predDst(inRange)
	a, by, clamp, members := c.src(1, t), c.src(2, "u32"), c.src(3, "u32"), c.src(4, "u32")
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		in, ok := w.regs[a], uint32(0)
		for m := mask; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			from, good := shuffleLane(mode, l, int(w.regs[by][l]&31), int(w.regs[clamp][l]))
			if mask>>from&1 == 0 {
				w.fault(l, driver.ErrLaunchFailed, "lane %d, whose value is asked for, does not take part", from)
			}
			w.regs[d][l] = in[from]
			if good {
				ok |= 1 << l
			}
		}
		set(w, mask, ok)
	}
}

// shuffleLane is the lane to read, its own where that would leave the segment.
func shuffleLane(mode string, lane, by, clamp int) (from int, good bool) {
	segment := clamp >> 8 & 31
	last := lane&segment | clamp&31&^segment
	first := lane & segment
	switch mode {
	case "up":
		from = lane - by
		good = from >= last // for .up the clamp bounds from below
	case "down":
		from = lane + by
		good = from <= last
	case "bfly":
		from = lane ^ by
		good = from <= last
	default:
		from = first | by&^segment
		good = from <= last
	}
	if !good {
		from = lane
	}
	return from, good
}

func vote(c *compiler) step {
	c.need("sync")
	mode := c.one("all", "any", "uni", "ballot")
	members := c.src(2, "u32")
	p := c.predSrc(c.arg(1))
	if mode == "ballot" {
		c.typ()
		d, _ := c.dst(0)
		return func(w *warp, mask uint32) {
			w.together(mask, members)
			w.setAll(d, mask, uint64(p(w)&mask))
		}
	}
	c.has("pred")
	set := c.predDst(c.arg(0))
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		v := p(w) & mask
		yes := mode == "all" && v == mask || mode == "any" && v != 0 || mode == "uni" && (v == mask || v == 0)
		set(w, mask, -uint32(boolBit(yes)))
	}
}

// setAll gives a register the same value in all lanes of a mask.
func (w *warp) setAll(d int, mask uint32, v uint64) {
	for m := mask; m != 0; m &= m - 1 {
		w.regs[d][bits.TrailingZeros32(m)&31] = v
	}
}

// match gives each lane the mask of lanes that hold its value.
func match(c *compiler) step {
	c.need("any")
	c.need("sync")
	t := c.typ()
	d, _ := c.dst(0)
	a, members := c.src(1, t), c.src(2, "u32")
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		in := w.regs[a]
		for l := range warpSize {
			if mask>>l&1 == 0 {
				continue
			}
			same := uint64(0)
			for other, v := range in {
				if v == in[l] && mask>>other&1 == 1 {
					same |= 1 << other
				}
			}
			w.regs[d][l] = same
		}
	}
}

func reduce(c *compiler) step {
	c.need("sync")
	op := c.one("add", "min", "max", "and", "or", "xor")
	t := c.typ()
	d, width := c.dst(0)
	a, members := c.src(1, t), c.src(2, "u32")
	f := atomicFunc(c, op, t)
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		v, rest := w.regs[a][firstLane(mask)], mask&(mask-1)
		for m := rest; m != 0; m &= m - 1 {
			v = f(v, w.regs[a][bits.TrailingZeros32(m)&31], 0)
		}
		w.setAll(d, mask, v&width)
	}
}

func activeMask(c *compiler) step {
	c.typ()
	d, _ := c.dst(0)
	return func(w *warp, mask uint32) { w.setAll(d, mask, uint64(mask)) }
}

// elect picks the lowest lane of the member mask.
func elect(c *compiler) step {
	c.need("sync")
	dst := c.arg(0)
	if dst.Kind != ptx.Pair {
		c.fail("two destinations belong here")
	}
	d, _ := c.target(dst.Sub[0])
	set, members := c.predDst(dst.Sub[1]), c.src(1, "u32")
	return func(w *warp, mask uint32) {
		w.together(mask, members)
		w.setAll(d, mask, uint64(firstLane(mask)))
		set(w, mask, mask&-mask)
	}
}
