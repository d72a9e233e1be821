package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// starts generates what the sums of int8 products start at. VPDPBUSD wants one
// operand unsigned, so 128 is added to each int8 of A; the sums of a column of B
// are then too high by 128 times the column's own sum, and start that much lower.
func starts() {
	for v := 1; v <= 3; v++ {
		start(v)
	}
}

// start generates the starting sums of a packed panel of some vectors.
func start(vectors int) {
	name, width := fmt.Sprintf("startZ%d", vectors), 16*vectors
	TEXT(name, NOSPLIT, "func(b *uint32, k int)")
	Pragma("noescape")
	Doc(name+" writes the first row of a packed panel of int8 from the k rows below it:", "",
		fmt.Sprintf("\tfor j := range %d {", width),
		fmt.Sprintf("\t\tb[j] = -128 * (the sum of the 4*k int8 in b[%d+j], b[%d+j], ...)", width, 2*width),
		"\t}")
	b, at, left := reg.RDI, reg.RSI, reg.RCX
	Load(Param("b"), b)
	Load(Param("k"), left)
	VBROADCASTSS(flip, reg.Z0)
	for v := range vectors {
		VPXORD(zmms[1+v], zmms[1+v], zmms[1+v])
	}
	MOVQ(b, at)
	TESTQ(left, left)
	JZ(LabelRef("end"))
	Label("unit")
	ADDQ(U32(uint32(4*width)), at)
	for v := range vectors {
		VPDPBUSD(Mem{Base: at, Disp: 64 * v}, reg.Z0, zmms[1+v])
	}
	DECQ(left)
	JNZ(LabelRef("unit"))
	Label("end")
	VPXORD(reg.Z0, reg.Z0, reg.Z0)
	for v := range vectors {
		VPSUBD(zmms[1+v], reg.Z0, zmms[1+v])
		VMOVDQU32(zmms[1+v], Mem{Base: b, Disp: 64 * v})
	}
	VZEROUPPER()
	RET()
}
