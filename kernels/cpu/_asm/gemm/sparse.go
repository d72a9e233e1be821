package main

import (
	"fmt"
	"math/bits"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sparse generates the product of sparse rows with a packed dense panel. A
// multiply-add with a memory operand runs as fast as one without on the CPUs
// that matter, so the row of the panel that a kept value meets is simply
// addressed; one broadcast serves all vectors of the panel.
func sparse() {
	for _, vectors := range []int{1, 2, 4, 8} {
		sparseRows(zmm, vectors)
		sparseRows(ymm, vectors)
	}
}

func sparseRows(isa isa, vectors int) {
	name := fmt.Sprintf("sparseRows%s%d", isa.suffix, vectors)
	width := vectors * isa.lanes
	TEXT(name, NOSPLIT, "func(rows int, starts *uint32, local *uint16, index *uint32, values, panel, sums *float32, add int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s computes, for 0 <= j < %d:", name, width),
		"",
		"\tfor r := range rows {",
		"\t\tvar acc float32",
		"\t\tfor i := starts[r]; i < starts[r+1]; i++ {",
		fmt.Sprintf("\t\t\tacc += values[index[i]] * panel[local[i]*%d+j]", width),
		"\t\t}",
		fmt.Sprintf("\t\tif add != 0 { sums[r*%d+j] += acc } else { sums[r*%d+j] = acc }", width, width),
		"\t}",
	)
	rows, starts, local, index := reg.RAX, reg.RBX, reg.RCX, reg.RDX
	values, panel, sums, add := reg.RSI, reg.RDI, reg.R8, reg.R9
	at, end, off, idx := reg.R10, reg.R11, reg.R12, reg.R13
	Load(Param("rows"), rows)
	Load(Param("starts"), starts)
	Load(Param("local"), local)
	Load(Param("index"), index)
	Load(Param("values"), values)
	Load(Param("panel"), panel)
	Load(Param("sums"), sums)
	Load(Param("add"), add)
	acc := func(v int) reg.VecPhysical { return isa.vec(1 + v) }
	each := func(f func(v, off int)) {
		for v := range vectors {
			f(v, 4*v*isa.lanes)
		}
	}
	MOVL(Mem{Base: starts}, at.As32())
	Label("row")
	MOVL(Mem{Base: starts, Disp: 4}, end.As32())
	ADDQ(U8(4), starts)
	each(func(v, _ int) { VXORPS(ymms[1+v], ymms[1+v], ymms[1+v]) })
	TESTQ(add, add)
	JZ(LabelRef("enter"))
	each(func(v, off int) { VMOVUPS(Mem{Base: sums, Disp: off}, acc(v)) })
	JMP(LabelRef("enter"))
	Label("kept")
	MOVWLZX(Mem{Base: local, Index: at, Scale: 2}, off.As32())
	MOVL(Mem{Base: index, Index: at, Scale: 4}, idx.As32())
	SHLQ(U8(uint8(bits.TrailingZeros(uint(4*width)))), off)
	VBROADCASTSS(Mem{Base: values, Index: idx, Scale: 4}, isa.vec(0))
	each(func(v, disp int) { VFMADD231PS(Mem{Base: panel, Index: off, Scale: 1, Disp: disp}, isa.vec(0), acc(v)) })
	INCQ(at)
	Label("enter")
	CMPQ(at, end)
	JNE(LabelRef("kept"))
	each(func(v, off int) { VMOVUPS(acc(v), Mem{Base: sums, Disp: off}) })
	ADDQ(U32(uint32(4*width)), sums)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
