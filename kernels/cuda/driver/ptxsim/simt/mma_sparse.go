package simt

import (
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim/ptx"
)

// sparseMultiply compiles mma.sp.sync.m16n8k32 of 16-bit elements with float32 sums (PTX ISA, section "mma.sp"). A is 2:4 sparse: its registers hold 16 by 16 stored values,
// placed as in m16n8k16; of every four columns of the whole A two are stored. Four bits say which, the lower position in the lower two.
//
// A word of these bits belongs to rows r and r+8, r in its lower half, and 16 columns. With selector 0, lane 4r has those of columns 0 to 15 and lane 4r+1 those of columns 16 to 31;
// with selector 1, lanes 4r+2 and 4r+3. Other lanes' words are not looked at.
func sparseMultiply(c *compiler) step {
	c.need("sync")
	c.need("aligned")
	c.need("m16n8k32")
	c.need("row")
	c.need("col")
	td, ta, tb, tc := c.typ(), c.typ(), c.typ(), c.typ()
	if td != "f32" || tc != "f32" || ta != tb || ta != "f16" && ta != "bf16" {
		c.fail("only float32 sums of 16-bit types are supported")
	}
	d, _ := c.registers(0)
	a, na := c.registers(1)
	b, nb := c.registers(2)
	sums, ns := c.registers(3)
	if len(d) != 4 || na != 4 || nb != 4 || ns != 4 {
		c.fail("the number of registers does not fit the shape")
	}
	meta, selector := c.src(4, "b32"), c.arg(5)
	if selector.Kind != ptx.Int || selector.Bits > 1 {
		c.fail("the sparsity selector must be 0 or 1")
	}
	value, lane := decode(ta), 2*int(selector.Bits)
	return floatTile(b, d, sums, 32, ta, td, func(w *warp, left *[16][32]float64) {
		eachElement(a, 2, true, w, func(row, stored int, v uint32) {
			group := stored / 2
			from := row%8*4 + lane + group/4
			bits := uint32(w.regs[meta][from]) >> (row/8*16 + group%4*4)
			first, second := int(bits&3), int(bits>>2&3)
			if first >= second {
				w.fault(from, driver.ErrLaunchFailed, "the positions %d and %d of row %d, columns %d and on, do not ascend", first, second, row, 4*group)
			}
			if stored%2 == 1 {
				first = second
			}
			left[row][4*group+first] = value(v)
		})
	})
}
