package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lookahead is how many entries of the index lie between an element and the one
// that is fetched into the cache meanwhile.
const lookahead = 256

// gather generates the collection of values by index. The elements of a run lie
// close together, so that not each has to be fetched ahead.
func gather() {
	TEXT("gatherWords", NOSPLIT, "func(to *float32, index *uint32, from *float32, n int)")
	Pragma("noescape")
	Doc("gatherWords is", "", "\tfor i := range 8 * n { to[i] = from[index[i]] }", "",
		fmt.Sprintf("It reads index up to %d entries further.", lookahead))
	to, index, from, left := reg.RDI, reg.RSI, reg.RBX, reg.RCX
	Load(Param("to"), to)
	Load(Param("index"), index)
	Load(Param("from"), from)
	Load(Param("n"), left)
	at := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13}
	Label("loop")
	for i, r := range at {
		MOVL(Mem{Base: index, Disp: 4 * i}, r.As32())
	}
	for i, r := range at {
		MOVL(Mem{Base: from, Index: r, Scale: 4}, r.As32())
		MOVL(r.As32(), Mem{Base: to, Disp: 4 * i})
	}
	for _, i := range []int{0, 1, 4, 5} {
		MOVL(Mem{Base: index, Disp: 4 * (i + lookahead)}, at[i].As32())
		PREFETCHT0(Mem{Base: from, Index: at[i], Scale: 4})
	}
	ADDQ(U8(32), to)
	ADDQ(U8(32), index)
	DECQ(left)
	JNZ(LabelRef("loop"))
	RET()
}
