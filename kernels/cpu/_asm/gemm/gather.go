package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gather generates the collection of words by index, from memory that is in cache.
func gather() {
	TEXT("gatherWords", NOSPLIT, "func(to *float32, index *uint16, from *float32, n int, walk *uintptr)")
	Pragma("noescape")
	Doc("gatherWords is", "", "\tfor i := range 8 * n { to[i] = from[index[i]] }", "",
		"It fetches a line for each eight.")
	to, index, from, left := reg.RDI, reg.RSI, reg.RBX, reg.RCX
	Load(Param("to"), to)
	Load(Param("index"), index)
	Load(Param("from"), from)
	Load(Param("n"), left)
	at := []reg.GPPhysical{reg.RAX, reg.RDX, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13}
	fetches := walk{state: at[0], at: reg.R14, left: reg.R15}
	Load(Param("walk"), fetches.state)
	fetches.begin()
	Label("loop")
	Load(Param("walk"), fetches.state)
	fetches.fetch("fetched")
	for i, r := range at {
		MOVWLZX(Mem{Base: index, Disp: 2 * i}, r.As32())
	}
	for i, r := range at {
		MOVL(Mem{Base: from, Index: r, Scale: 4}, r.As32())
		MOVL(r.As32(), Mem{Base: to, Disp: 4 * i})
	}
	ADDQ(U8(32), to)
	ADDQ(U8(16), index)
	DECQ(left)
	JNZ(LabelRef("loop"))
	Load(Param("walk"), fetches.state)
	fetches.end()
	RET()
}
