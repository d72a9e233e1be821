package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sparse generates the product of sparse rows with a packed dense panel. A
// multiply-add with a memory operand runs as fast as one without on the CPUs
// that matter, so the row of the panel that a kept value meets is simply
// addressed. Loads are then what limits: eight values are loaded at once and
// spread by permutations, four places at once and split by shifts.
func sparse() {
	GLOBL("lanes", RODATA|NOPTR)
	for i := 0; i < 8; i++ {
		DATA(4*i, U32(uint32(i)))
	}
	for _, v := range []int{1, 2, 4, 8} {
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
const group = 8

// Registers of the sparse kernels.
var (
	sRows, sStarts  = reg.RAX, reg.RBX
	sPlaces, sVals  = reg.RCX, reg.RSI
	sPanel, sSums   = reg.RDI, reg.R8
	sAdd            = reg.R9
	sAt, sLeft      = reg.R10, reg.R11
	sPlace, sQuad   = reg.R12, reg.R13
	sValues, sValue = 0, 1 // vectors: eight values, one of them spread
)

func (k sparseKernel) width() int { return k.vectors * k.isa.lanes }

// sets is the number of accumulators a vector has, to hide the latency.
func (k sparseKernel) sets() int { return max(1, 8/k.vectors) }

// acc returns an accumulator. Zmm kernels keep permutations in Z24 to Z31.
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
	SUBQ(sAt, sLeft)
	k.begin()
	SUBQ(U8(group), sLeft)
	JL(LabelRef("few"))
	Label("group")
	k.eight()
	SUBQ(U8(group), sLeft)
	JGE(LabelRef("group"))
	Label("few")
	ADDQ(U8(group), sLeft)
	JZ(LabelRef("end"))
	Label("single")
	MOVWLZX(Mem{Base: sPlaces, Index: sAt, Scale: 2}, sPlace.As32())
	VBROADCASTSS(Mem{Base: sVals, Index: sAt, Scale: 4}, k.isa.vec(sValue))
	k.multiply(0)
	INCQ(sAt)
	DECQ(sLeft)
	JNZ(LabelRef("single"))
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

// lanePermutations makes Z24+i hold i in every lane.
func (k sparseKernel) lanePermutations() {
	if k.isa.lanes != 16 {
		return
	}
	for i := range group {
		VPBROADCASTD(NewDataAddr(NewStaticSymbol("lanes"), 4*i), zmms[24+i])
	}
}

// eight multiplies eight kept values.
func (k sparseKernel) eight() {
	if k.isa.lanes == 16 {
		VMOVUPS(Mem{Base: sVals, Index: sAt, Scale: 4}, ymms[sValues])
	}
	for i := range group {
		if i%4 == 0 {
			MOVQ(Mem{Base: sPlaces, Index: sAt, Scale: 2, Disp: 2 * i}, sQuad)
		}
		MOVWLZX(sQuad.As16(), sPlace.As32())
		if i%4 != 3 {
			SHRQ(U8(16), sQuad)
		}
		if k.isa.lanes == 16 {
			VPERMPS(zmms[sValues], zmms[24+i], zmms[sValue])
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
