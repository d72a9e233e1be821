package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// The tile of the bfloat16 2:4 product: rows of x by columns (output channels).
const (
	selectedRows    = 6
	selectedVectors = 3
)

// Registers: a group's kept weights and controls, the rows of x, selected units,
// sums.
const (
	sWeights, sControls = 0, 3
	sRowUnits           = 6
	sSelected           = 12
	sSelectedSums       = 14
)

// selected generates the tile of the bfloat16 2:4 product. A lane is an output
// channel: a byte permutation selects the two of a row's four values that the
// channel keeps, and VDPBF16PS multiplies them with the kept weights. As in the
// weight gradient that is 1.33 cycles for what takes the dense tile 2.
func selected() {
	TEXT("selectedBF16Z", NOSPLIT, "func(k int, x *uint16, ldx int, b, control *uint32, c *float32, ldc, rows, cols int)")
	Pragma("noescape")
	Doc("selectedBF16Z is a selectedFunc.")
	rows := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13}
	at, left, b, control := reg.RAX, reg.RCX, reg.RSI, reg.RDI
	Load(Param("k"), left)
	Load(Param("b"), b)
	Load(Param("control"), control)
	selectedRowPointers(rows)
	for i := range selectedRows * selectedVectors {
		acc := zmms[sSelectedSums+i]
		VPXORD(acc, acc, acc)
	}
	XORQ(at, at)
	Label("unit")
	for r, base := range rows {
		VBROADCASTF32X4(Mem{Base: base, Index: at, Scale: 1}, zmms[sRowUnits+r])
	}
	for group := range 2 {
		for v := range selectedVectors {
			m := 64 * (group*selectedVectors + v)
			VMOVUPS(Mem{Base: b, Disp: m}, zmms[sWeights+v])
			VMOVUPS(Mem{Base: control, Disp: m}, zmms[sControls+v])
		}
		for i := range selectedRows * selectedVectors {
			r, v := i/selectedVectors, i%selectedVectors
			unit := zmms[sSelected+i%2]
			VPSHUFB(zmms[sControls+v], zmms[sRowUnits+r], unit)
			evex.VDPBF16PS(unit, zmms[sWeights+v], zmms[sSelectedSums+i])
		}
	}
	ADDQ(U8(16), at)
	ADDQ(U32(128*selectedVectors), b)
	ADDQ(U32(128*selectedVectors), control)
	DECQ(left)
	JNZ(LabelRef("unit"))
	selectedStore()
	Label("done")
	VZEROUPPER()
	RET()
}

// selectedRowPointers sets the addresses of the rows; those that do not exist repeat
// the last.
func selectedRowPointers(rows []reg.GPPhysical) {
	ld, left := reg.RBX, reg.RDX
	Load(Param("x"), rows[0])
	Load(Param("ldx"), ld)
	ADDQ(ld, ld)
	Load(Param("rows"), left)
	for r := 1; r < len(rows); r++ {
		LEAQ(Mem{Base: rows[r-1], Index: ld, Scale: 1}, rows[r])
		CMPQ(left, U8(uint8(r)))
		CMOVQLE(rows[r-1], rows[r])
	}
}

// selectedStore stores the sums of the rows and columns that exist.
func selectedStore() {
	c, ldc, rows, cols, tmp := reg.RDX, reg.R9, reg.R10, reg.R12, reg.R11
	Load(Param("c"), c)
	Load(Param("ldc"), ldc)
	SHLQ(U8(2), ldc)
	Load(Param("rows"), rows)
	Load(Param("cols"), cols)
	MOVQ(I32(-1), tmp)
	BZHIQ(cols, tmp, tmp)
	for v := range selectedVectors {
		KMOVW(tmp.As32(), []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3}[v])
		SHRQ(U8(16), tmp)
	}
	for r := range selectedRows {
		for v := range selectedVectors {
			VMOVUPS(zmms[sSelectedSums+r*selectedVectors+v], []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3}[v], Mem{Base: c, Disp: 64 * v})
		}
		if r+1 < selectedRows {
			DECQ(rows)
			JZ(LabelRef("done"))
			ADDQ(ldc, c)
		}
	}
}
