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
	GLOBL("lanes", RODATA|NOPTR)
	for i := range burst {
		DATA(4*i, U32(uint32(i)))
	}
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

// burst is how many values a step of both loops takes at most.
const burst = 4

// Registers of the sparse kernels. Vectors: four spread values, four of the
// panel, then the sums of the two rows; the values as loaded, and the
// permutations that spread them.
var (
	sPairs, sPair   = reg.RAX, reg.RBX
	sPlaces, sVals  = reg.RCX, reg.RSI
	sPanel, sSums   = reg.RDI, reg.R8
	sAdd            = reg.R9
	sRow            = [2]reg.GPPhysical{reg.R10, reg.R11}
	sPlace          = [3]reg.GPPhysical{reg.R12, reg.R13, reg.RDX}
	sSteps          = reg.R15
	sPanelReg, sAcc = 4, 8
)

// valuesAhead and placesAhead are how many bytes before their use values and places are
// fetched: farther than the processor does by itself, which ends with each page. Each
// pair fetches so many lines of them, which is more than it uses, and of the walk.
const (
	valuesAhead, valuesLines = 1024, 7
	placesAhead, placesLines = 512, 3
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
	TEXT(name, NOSPLIT, "func(pairs int, pair, places *uint16, values, panel, sums *float32, add int, walk *uintptr)")
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
	k.steps("mixed", 4, 4, 3, k.mixed)
	k.steps("single", 6, 2, 2, k.single)
	k.each(func(row, v int, m Mem) {
		if other := k.other(row, v); other != k.acc(row, v) {
			VADDPS(other, k.acc(row, v), k.acc(row, v))
		}
		VMOVUPS(k.acc(row, v), m)
	})
	ADDQ(U8(8), sPair)
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

// prepare sets what stays: the spreading permutations, and the mask of the sums
// that are loaded.
func (k sparseKernel) prepare() {
	if k.isa.lanes != 16 {
		return
	}
	for i := range burst {
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("lanes"), 4*i), spread(i))
	}
	NEGQ(sAdd)
	KMOVW(sAdd.As32(), reg.K1)
	Load(Param("walk"), sFetches.state)
}

// begin sets the accumulators to the sums so far or, if they are not to be added
// to, to zero.
func (k sparseKernel) begin() {
	if k.isa.lanes == 16 {
		k.each(func(row, v int, m Mem) {
			VMOVUPS_Z(m, reg.K1, k.acc(row, v))
			VPXORD(k.other(row, v), k.other(row, v), k.other(row, v))
		})
		return
	}
	k.each(func(row, v int, _ Mem) { VXORPS(k.acc(row, v), k.acc(row, v), k.acc(row, v)) })
	TESTQ(sAdd, sAdd)
	JZ(LabelRef("begun"))
	k.each(func(row, v int, m Mem) { VMOVUPS(m, k.acc(row, v)) })
	Label("begun")
}

// steps generates a loop of as many steps as the pair says at an offset, each of
// which takes some values and places.
func (k sparseKernel) steps(label string, count, values, places int, step func()) {
	MOVWLZX(Mem{Base: sPair, Disp: count}, sSteps.As32())
	TESTQ(sSteps, sSteps)
	JZ(LabelRef(label + "done"))
	Label(label)
	loadPlaces(places)
	ADDQ(U8(uint8(2*places)), sPlaces)
	k.spreadValues(values)
	ADDQ(U8(uint8(4*values)), sVals)
	step()
	DECQ(sSteps)
	JNZ(LabelRef(label))
	Label(label + "done")
}

// loadPlaces reads two or three places at once, three with one more: on Zen 5 each load
// is one of the two a cycle.
func loadPlaces(n int) {
	last := sPlace[n-1]
	if n == 2 {
		MOVL(Mem{Base: sPlaces}, last.As32())
	} else {
		MOVQ(Mem{Base: sPlaces}, last)
	}
	for i := range n - 1 {
		MOVWLZX(last.As16(), sPlace[i].As32())
		SHRQ(U8(16), last)
	}
	MOVWLZX(last.As16(), last.As32())
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

// spread returns the register that holds i in every lane.
func spread(i int) reg.VecPhysical { return zmms[32-burst+i] }

// spreadValues spreads the next values over the first vectors.
func (k sparseKernel) spreadValues(n int) {
	if k.isa.lanes != 16 {
		for i := range n {
			VBROADCASTSS(Mem{Base: sVals, Disp: 4 * i}, k.isa.vec(i))
		}
		return
	}
	loaded := 32 - burst - 1
	if n == 4 {
		VMOVUPS(Mem{Base: sVals}, xmms[loaded])
	} else {
		VMOVSD(Mem{Base: sVals}, xmms[loaded])
	}
	for i := range n {
		VPERMPS(zmms[loaded], spread(i), zmms[i])
	}
}

// mixed multiplies a place that both rows keep, and one that each keeps alone.
func (k sparseKernel) mixed() {
	for v := range k.vectors {
		x := k.isa.vec(sPanelReg + v)
		VMOVUPS(k.panel(0, v), x)
		VFMADD231PS(x, k.isa.vec(0), k.acc(0, v))
		VFMADD231PS(x, k.isa.vec(1), k.acc(1, v))
	}
	k.each(func(row, v int, _ Mem) { VFMADD231PS(k.panel(1+row, v), k.isa.vec(2+row), k.other(row, v)) })
}

// single multiplies a place of each row.
func (k sparseKernel) single() {
	k.each(func(row, v int, _ Mem) { VFMADD231PS(k.panel(row, v), k.isa.vec(row), k.other(row, v)) })
}

// panel addresses a vector of the row of the panel at a place.
func (k sparseKernel) panel(place, v int) Mem {
	return Mem{Base: sPanel, Index: sPlace[place], Scale: uint8(k.width() / 16), Disp: 4 * v * k.isa.lanes}
}
