package main

import (
	"fmt"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sparse generates the product of pairs of sparse rows with a packed dense panel.
// The row of the panel that a kept value meets is simply addressed, as the memory
// operand of the multiply-add. One row alone would need a load for each
// multiply-add, and Zen 4 and 5 have no more loads than multiply-adds to give;
// where both rows of a pair keep the same place, one load serves two.
func sparse() {
	for _, v := range []int{1, 2, 4} {
		sparseKernel{zmm, v}.generate()
	}
	for _, v := range []int{2, 4} {
		sparseKernel{ymm, v}.generate()
	}
}

// sparseKernel is the kernel for panels of some vectors.
type sparseKernel struct {
	isa     isa
	vectors int
}

// mixedSteps is how many mixed steps are taken at once, whose places and values are
// loaded together: on Zen 5 each load is one of the two a cycle.
const mixedSteps = 2

// Registers of the sparse kernels. Vectors: four spread values, four of the
// panel, then the sums of the two rows; the values as loaded, and four of them in each
// lane of 128 bits.
var (
	sPairs, sPair   = reg.RAX, reg.RBX
	sPlaces, sVals  = reg.RCX, reg.RSI
	sPanel, sSums   = reg.RDI, reg.R8
	sAdd            = reg.R9
	sRow            = [2]reg.GPPhysical{reg.R10, reg.R11}
	sPlace          = [3]reg.GPPhysical{reg.R12, reg.R13, reg.RDX}
	sSteps          = reg.R15
	sWord           = reg.R14
	sPanelReg, sAcc = 4, 8
	sLoaded, sFour  = 24, 25
)

// valuesAhead and placesAhead are how many bytes before their use values and places are
// fetched: farther than the processor does by itself, which ends with each page. Each
// pair fetches so many lines of them, which is more than it uses, and of the walk.
const (
	valuesAhead, valuesLines = 1024, 7
	placesAhead, placesLines = 512, 2
	walkLines                = 4
)

// sFetches is the walk of the kernels with 32 registers, whose sAdd is free once it is a
// mask.
var sFetches = walk{state: sAdd, at: reg.R14, left: sPlace[0]}

func (k sparseKernel) width() int { return k.vectors * k.isa.lanes }

func (k sparseKernel) acc(row, v int) reg.VecPhysical { return k.isa.vec(sAcc + row*k.vectors + v) }

// other is a second accumulator of the same sum. A Zen 5 core starts two multiply-adds a
// cycle that take four, so that eight sums are too few to keep it busy.
func (k sparseKernel) other(row, v int) reg.VecPhysical {
	if k.isa.lanes != 16 {
		return k.acc(row, v)
	}
	return k.isa.vec(sAcc + (2+row)*k.vectors + v)
}

func (k sparseKernel) generate() {
	name := fmt.Sprintf("sparsePairs%s%d", k.isa.suffix, k.vectors)
	TEXT(name, NOSPLIT, "func(pairs int, pair *uint16, places *uint8, values, panel, sums *float32, add int, walk *uintptr)")
	Pragma("noescape")
	Doc(name + " is a sparseFunc for panels of " + fmt.Sprint(k.width()) + " columns.")
	for _, p := range []struct {
		name string
		reg  reg.Register
	}{
		{"pairs", sPairs}, {"pair", sPair}, {"places", sPlaces}, {"values", sVals},
		{"panel", sPanel}, {"sums", sSums}, {"add", sAdd},
	} {
		Load(Param(p.name), p.reg)
	}
	k.prepare()
	Label("pair")
	for row := range 2 {
		MOVWLZX(Mem{Base: sPair, Disp: 2 * row}, sRow[row].As32())
		SHLQ(U8(uint8(bits.TrailingZeros(uint(4*k.width())))), sRow[row])
		ADDQ(sSums, sRow[row])
	}
	k.fetch()
	k.begin()
	k.steps("mixed", 4, k.mixed)
	k.steps("shared", 6, func() {
		MOVBLZX(Mem{Base: sPlaces}, sWord.As32())
		k.place(0, 0)
		k.spreadPair()
		k.shared()
		k.advance(1, 2)
	})
	k.steps("apart", 8, func() {
		MOVWLZX(Mem{Base: sPlaces}, sWord.As32())
		k.place(0, 0)
		k.place(1, 1)
		k.spreadPair()
		k.apart(0, 0)
		k.advance(2, 2)
	})
	k.end()
	ADDQ(U8(10), sPair)
	DECQ(sPairs)
	JNZ(LabelRef("pair"))
	VZEROUPPER()
	RET()
}

// each passes the sums of both rows.
func (k sparseKernel) each(f func(row, v int, m Mem)) {
	for row := range 2 {
		for v := range k.vectors {
			f(row, v, Mem{Base: sRow[row], Disp: 4 * v * k.isa.lanes})
		}
	}
}

// prepare sets what stays: the mask of the sums that are loaded, and the walk.
func (k sparseKernel) prepare() {
	if k.isa.lanes != 16 {
		return
	}
	NEGQ(sAdd)
	KMOVW(sAdd.As32(), reg.K1)
	Load(Param("walk"), sFetches.state)
}

// begin clears the accumulators of 32 registers. Others begin with the sums so far, if
// they are to be added to.
func (k sparseKernel) begin() {
	k.each(func(row, v int, _ Mem) {
		if k.isa.lanes == 16 {
			VPXORD(k.acc(row, v), k.acc(row, v), k.acc(row, v))
			VPXORD(k.other(row, v), k.other(row, v), k.other(row, v))
			return
		}
		VXORPS(k.acc(row, v), k.acc(row, v), k.acc(row, v))
	})
	if k.isa.lanes == 16 {
		return
	}
	TESTQ(sAdd, sAdd)
	JZ(LabelRef("begun"))
	k.each(func(row, v int, m Mem) { VMOVUPS(m, k.acc(row, v)) })
	Label("begun")
}

// end stores the sums. Those of 32 registers add the sums so far here, where no
// multiply-add waits for them.
func (k sparseKernel) end() {
	k.each(func(row, v int, m Mem) {
		if k.isa.lanes == 16 {
			VADDPS(k.other(row, v), k.acc(row, v), k.acc(row, v))
			VADDPS(m, k.acc(row, v), reg.K1, k.acc(row, v))
		}
		VMOVUPS(k.acc(row, v), m)
	})
}

// steps generates a loop of as many steps as the pair says at an offset.
func (k sparseKernel) steps(label string, count int, step func()) {
	MOVWLZX(Mem{Base: sPair, Disp: count}, sSteps.As32())
	TESTQ(sSteps, sSteps)
	JZ(LabelRef(label + "done"))
	Label(label)
	step()
	DECQ(sSteps)
	JNZ(LabelRef(label))
	Label(label + "done")
}

// advance passes over places and values.
func (k sparseKernel) advance(places, values int) {
	ADDQ(U8(uint8(places)), sPlaces)
	ADDQ(U8(uint8(4*values)), sVals)
}

// place makes a place of the word the offset of its row in the panel.
func (k sparseKernel) place(i, at int) {
	shift := bits.TrailingZeros(uint(4 * k.width()))
	RORXQ(U8(uint8(8*at-shift)&63), sWord, sPlace[i])
	ANDL(U32(255<<shift), sPlace[i].As32())
}

// fetch asks for values and places that are used later, and for lines of the walk. In
// the loops there is no room for it: they load nearly a vector for each multiply-add.
func (k sparseKernel) fetch() {
	for i := range valuesLines {
		PREFETCHT0(Mem{Base: sVals, Disp: valuesAhead + 64*i})
	}
	for i := range placesLines {
		PREFETCHT0(Mem{Base: sPlaces, Disp: placesAhead + 64*i})
	}
	if k.isa.lanes != 16 {
		return
	}
	sFetches.begin()
	for i := range walkLines {
		sFetches.fetch(fmt.Sprint("fetched", i))
	}
	sFetches.end()
}

// spreadFour spreads the values of a mixed step over the first vectors. A permutation
// across lanes takes the turn of a multiply-add on Zen 5, one within them does not.
func (k sparseKernel) spreadFour(step int) {
	if k.isa.lanes != 16 {
		k.broadcast(4*step, 4)
		return
	}
	if step == 0 {
		VMOVUPS(Mem{Base: sVals}, ymms[sLoaded])
	}
	VSHUFF32X4(U8(uint8(0x55*step)), zmms[sLoaded], zmms[sLoaded], zmms[sFour])
	k.spread(4)
}

// spreadPair spreads the next two values over the first vectors.
func (k sparseKernel) spreadPair() {
	if k.isa.lanes != 16 {
		k.broadcast(0, 2)
		return
	}
	VBROADCASTF32X2(Mem{Base: sVals}, zmms[sFour])
	k.spread(2)
}

// broadcast spreads values from memory.
func (k sparseKernel) broadcast(first, n int) {
	for i := range n {
		VBROADCASTSS(Mem{Base: sVals, Disp: 4 * (first + i)}, k.isa.vec(i))
	}
}

// spread spreads the first values of each lane.
func (k sparseKernel) spread(n int) {
	for i := range n {
		VPERMILPS(U8(uint8(0x55*i)), zmms[sFour], zmms[i])
	}
}

// mixed multiplies places that both rows keep and, in turn, one that each keeps alone.
func (k sparseKernel) mixed() {
	MOVQ(Mem{Base: sPlaces}, sWord)
	for step := range mixedSteps {
		for i := range sPlace {
			k.place(i, 3*step+i)
		}
		k.spreadFour(step)
		k.shared()
		k.apart(1, 2)
	}
	k.advance(3*mixedSteps, 4*mixedSteps)
}

// shared multiplies a place of both rows.
func (k sparseKernel) shared() {
	for v := range k.vectors {
		x := k.isa.vec(sPanelReg + v)
		VMOVUPS(k.panel(0, v), x)
		VFMADD231PS(x, k.isa.vec(0), k.acc(0, v))
		VFMADD231PS(x, k.isa.vec(1), k.acc(1, v))
	}
}

// apart multiplies a place of each row, with the values from one on.
func (k sparseKernel) apart(place, value int) {
	k.each(func(row, v int, _ Mem) { VFMADD231PS(k.panel(place+row, v), k.isa.vec(value+row), k.other(row, v)) })
}

// panel addresses a vector of the row of the panel at a place.
func (k sparseKernel) panel(place, v int) Mem {
	return Mem{Base: sPanel, Index: sPlace[place], Scale: 1, Disp: 4 * v * k.isa.lanes}
}
