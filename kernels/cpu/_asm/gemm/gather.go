package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gather generates the collection of words by index, from memory that is in cache. Loads
// and stores bound it, so indices are loaded and words stored four at a time.
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
	word, place := reg.RDX, reg.R8
	fetches := walk{state: reg.RAX, at: reg.R14, left: reg.R15}
	Load(Param("walk"), fetches.state)
	fetches.begin()
	Label("loop")
	fetches.fetch("fetched")
	for four := range 2 {
		MOVQ(Mem{Base: index, Disp: 8 * four}, word)
		for i := range 4 {
			MOVWLZX(word.As16(), place.As32())
			if i < 3 {
				SHRQ(U8(16), word)
			}
			if m := (Mem{Base: from, Index: place, Scale: 4}); i == 0 {
				VMOVSS(m, reg.X0)
			} else {
				VINSERTPS(U8(uint8(16*i)), m, reg.X0, reg.X0)
			}
		}
		VMOVUPS(reg.X0, Mem{Base: to, Disp: 16 * four})
	}
	ADDQ(U8(32), to)
	ADDQ(U8(16), index)
	DECQ(left)
	JNZ(LabelRef("loop"))
	fetches.end()
	RET()
}
