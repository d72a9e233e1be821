package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sparse generates the product of sparse rows with a packed dense panel. The row
// of the panel that a kept value meets is simply addressed as the memory operand
// of the multiply-add. Loads are then what limits (on Zen 4 to some 80 % of the
// multiply-add peak), so four values are loaded at once and spread by
// permutations, their places at once and split by shifts.
func sparse() {
	GLOBL("lanes", RODATA|NOPTR)
	for i := range group {
		DATA(4*i, U32(uint32(i)))
	}
	for _, v := range []int{1, 2, 4} {
		sparseKernel{zmm, v}.generate()
	}
	for _, v := range []int{2, 4, 8} {
		sparseKernel{ymm, v}.generate()
	}
}

// sparseKernel is the kernel for panels of some vectors.
type sparseKernel struct {
	isa     isa
	vectors int
}

// group is how many kept values are taken at once.
const group = 4

// Registers of the sparse kernels.
var (
	sRows, sStarts  = reg.RAX, reg.RBX
	sPlaces, sVals  = reg.RCX, reg.RSI
	sPanel, sSums   = reg.RDI, reg.R8
	sAdd            = reg.R9
	sAt, sLeft      = reg.R10, reg.R11
	sPlace, sQuad   = reg.R12, reg.R13
	sValues, sValue = 0, 1 // vectors: the values of a group, one of them spread
)

func (k sparseKernel) width() int { return k.vectors * k.isa.lanes }

// sets is the number of accumulators a vector has, to hide the latency.
func (k sparseKernel) sets() int { return max(1, 8/k.vectors) }

// acc returns an accumulator. Zmm kernels keep permutations in the
// last registers.
func (k sparseKernel) acc(set, v int) reg.VecPhysical { return k.isa.vec(2 + set*k.vectors + v) }

// scale turns a place, the offset of a row of a panel of 16 columns, into the
// offset in this panel.
func (k sparseKernel) scale() uint8 { return uint8(k.width() / 16) }

func (k sparseKernel) generate() {
	name := fmt.Sprintf("sparseRows%s%d", k.isa.suffix, k.vectors)
	w := k.width()
	TEXT(name, NOSPLIT, "func(rows int, starts *uint32, places *uint16, values, panel, sums *float32, add int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s computes, for 0 <= j < %d:", name, w),
		"",
		"\tfor r := range rows {",
		"\t\tvar acc float32",
		"\t\tfor i := starts[r]; i < starts[r+1]; i++ {",
		fmt.Sprintf("\t\t\tacc += values[i] * panel[places[i]/64*%d+j]", w),
		"\t\t}",
		fmt.Sprintf("\t\tif add != 0 { sums[r*%d+j] += acc } else { sums[r*%d+j] = acc }", w, w),
		"\t}",
		"",
		fmt.Sprintf("Rows have a multiple of %d entries.", group),
	)
	for _, p := range []struct {
		name string
		reg  reg.Register
	}{
		{"rows", sRows}, {"starts", sStarts}, {"places", sPlaces}, {"values", sVals},
		{"panel", sPanel}, {"sums", sSums}, {"add", sAdd},
	} {
		Load(Param(p.name), p.reg)
	}
	k.lanePermutations()
	MOVL(Mem{Base: sStarts}, sAt.As32())
	Label("row")
	MOVL(Mem{Base: sStarts, Disp: 4}, sLeft.As32())
	ADDQ(U8(4), sStarts)
	k.begin()
	SUBQ(sAt, sLeft)
	JZ(LabelRef("end"))
	Label("group")
	k.group()
	SUBQ(U8(group), sLeft)
	JNZ(LabelRef("group"))
	Label("end")
	k.end()
	DECQ(sRows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func (k sparseKernel) each(f func(v int, m Mem)) {
	for v := range k.vectors {
		f(v, Mem{Base: sSums, Disp: 4 * v * k.isa.lanes})
	}
}

// begin sets the accumulators to zero, and the first set to the sums so far if
// they are to be added to.
func (k sparseKernel) begin() {
	for set := range k.sets() {
		for v := range k.vectors {
			n := 2 + set*k.vectors + v
			VXORPS(ymms[n], ymms[n], ymms[n])
		}
	}
	TESTQ(sAdd, sAdd)
	JZ(LabelRef("begun"))
	k.each(func(v int, m Mem) { VMOVUPS(m, k.acc(0, v)) })
	Label("begun")
}

// end adds the sets up and stores the sums.
func (k sparseKernel) end() {
	for n := k.sets(); n > 1; n /= 2 {
		for set := range n / 2 {
			for v := range k.vectors {
				VADDPS(k.acc(set+n/2, v), k.acc(set, v), k.acc(set, v))
			}
		}
	}
	k.each(func(v int, m Mem) { VMOVUPS(k.acc(0, v), m) })
	ADDQ(U32(uint32(4*k.width())), sSums)
}

// spread returns the register that holds i in every lane.
func spread(i int) reg.VecPhysical { return zmms[32-group+i] }

// lanePermutations sets the spread registers.
func (k sparseKernel) lanePermutations() {
	if k.isa.lanes != 16 {
		return
	}
	for i := range group {
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("lanes"), 4*i), spread(i))
	}
}

// group multiplies a group of kept values.
func (k sparseKernel) group() {
	if k.isa.lanes == 16 {
		VMOVUPS(Mem{Base: sVals, Index: sAt, Scale: 4}, reg.X0)
	}
	MOVQ(Mem{Base: sPlaces, Index: sAt, Scale: 2}, sQuad)
	for i := range group {
		MOVWLZX(sQuad.As16(), sPlace.As32())
		if i < group-1 {
			SHRQ(U8(16), sQuad)
		}
		if k.isa.lanes == 16 {
			VPERMPS(zmms[sValues], spread(i), zmms[sValue])
		} else {
			VBROADCASTSS(Mem{Base: sVals, Index: sAt, Scale: 4, Disp: 4 * i}, k.isa.vec(sValue))
		}
		k.multiply(i % k.sets())
	}
	ADDQ(U8(group), sAt)
}

// multiply adds the spread value times the addressed row of the panel.
func (k sparseKernel) multiply(set int) {
	for v := range k.vectors {
		row := Mem{Base: sPanel, Index: sPlace, Scale: k.scale(), Disp: 4 * v * k.isa.lanes}
		VFMADD231PS(row, k.isa.vec(sValue), k.acc(set, v))
	}
}
