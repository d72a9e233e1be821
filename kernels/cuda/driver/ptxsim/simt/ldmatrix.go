package simt

import (
	"encoding/binary"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// loadMatrix compiles ldmatrix: one, two or four 8x8 matrices of 16-bit elements from shared memory. Lane 8i+r gives the address of row r of matrix i; lane l
// receives elements 2(l mod 4) and the next of row l/4, or of column l/4 with .trans.
func loadMatrix(c *compiler) step {
	c.need("sync")
	c.need("aligned")
	c.need("m8n8")
	count := map[string]int{"x1": 1, "x2": 2, "x4": 4}[c.one("x1", "x2", "x4")]
	trans := c.has("trans")
	if !c.has("shared") && !c.has("shared::cta") {
		c.fail("the source is no shared memory")
	}
	if c.typ() != "b16" || count == 0 {
		c.fail("only matrices of b16 are supported")
	}
	parts := []ptx.Operand{c.arg(0)}
	if parts[0].Kind == ptx.Vector {
		parts = parts[0].Sub
	}
	if len(parts) != count {
		c.fail("%d registers for %d matrices", len(parts), count)
	}
	regs := make([]int, count)
	for i, p := range parts {
		regs[i], _ = c.target(p)
	}
	base, off := c.address(c.arg(1))
	return func(w *warp, mask uint32) {
		w.whole(mask)
		var rows [32][8]uint16
		for l := range 8 * count {
			b := w.sharedAt(l, w.regs[base][l]+off, 16, load)
			for i := range rows[l] {
				rows[l][i] = binary.LittleEndian.Uint16(b[2*i:])
			}
		}
		for i, r := range regs {
			for l := range warpSize {
				row, col := l/4, l%4*2
				lo, hi := rows[8*i+row][col], rows[8*i+row][col+1]
				if trans {
					lo, hi = rows[8*i+col][row], rows[8*i+col+1][row]
				}
				w.regs[r][l] = uint64(lo) | uint64(hi)<<16
			}
		}
	}
}

// whole checks that all lanes of the warp run an instruction that needs them.
func (w *warp) whole(mask uint32) {
	if mask != full {
		w.fault(firstLane(^mask), driver.ErrLaunchFailed, "the instruction needs all 32 lanes, and this thread does not run it")
	}
}
