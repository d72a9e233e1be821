package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// source is an element type on its way into 32-bit units: how eight units of
// one row are loaded (transposing pack), and how eight columns' units are made
// from the rows of one unit (copying pack).
type source struct {
	name   string
	doc    string
	bytes  int                               // of eight units in a row
	load   func(m Mem, v reg.VecPhysical)    // eight units of a row
	rows   int                               // rows of K in a unit
	width  int                               // bytes of eight columns in one row
	gather func(row func(i int) Mem, out Mem) // eight columns' units
}

func packs() {
	for _, s := range sources() {
		if s.load != nil {
			s.transpose()
		}
		if s.gather != nil {
			s.copy()
		}
	}
}

func sources() []source {
	return []source{
		{
			name: "32", doc: "a 32-bit word", bytes: 32, load: loadWords,
			rows: 1, width: 32,
			gather: func(row func(int) Mem, out Mem) {
				VMOVUPS(row(0), reg.Y0)
				VMOVUPS(reg.Y0, out)
			},
		},
	}
}

func loadWords(m Mem, v reg.VecPhysical) { VMOVUPS(m, v) }

// transpose generates the pack of eight rows that run along K.
func (s source) transpose() {
	name := "packRows" + s.name
	TEXT(name, NOSPLIT, "func(dst *uint32, stride int, rows *[8]*byte, n int)")
	Pragma("noescape")
	Doc(
		name+" writes eight rows side by side, 8n units of each. A unit is "+s.doc+":",
		"",
		"\tfor u := range 8 * n {",
		"\t\tfor r := range 8 {",
		"\t\t\tdst[u*stride/4+r] = unit(rows[r], u)",
		"\t\t}",
		"\t}",
	)
	src := []reg.GPPhysical{reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8, reg.R9}
	dst, stride, left, at := reg.R10, reg.R11, reg.R12, reg.R13
	Load(Param("rows"), at)
	for i, r := range src {
		MOVQ(Mem{Base: at, Disp: 8 * i}, r)
	}
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("n"), left)
	XORQ(at, at)
	s.prepare()
	Label("loop")
	for i, r := range src {
		s.load(Mem{Base: r, Index: at, Scale: 1}, ymms[i])
	}
	transpose8()
	for i := range src {
		VMOVUPS(ymms[i], Mem{Base: dst})
		ADDQ(stride, dst)
		_ = i
	}
	ADDQ(U8(uint8(s.bytes)), at)
	DECQ(left)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func (s source) prepare() {}

// transpose8 transposes the 8x8 words in Y0..Y7.
func transpose8() {
	y := func(i int) reg.VecPhysical { return ymms[i] }
	for i := 0; i < 8; i += 2 { // pairs of rows into Y8..Y15
		VUNPCKLPS(y(i+1), y(i), y(8+i))
		VUNPCKHPS(y(i+1), y(i), y(9+i))
	}
	for half := 0; half < 8; half += 4 { // fours of rows into Y0..Y7
		lo, hi := 8+half, 10+half
		VSHUFPS(U8(0x44), y(hi), y(lo), y(half))
		VSHUFPS(U8(0xee), y(hi), y(lo), y(half+1))
		VSHUFPS(U8(0x44), y(hi+1), y(lo+1), y(half+2))
		VSHUFPS(U8(0xee), y(hi+1), y(lo+1), y(half+3))
	}
	for i := 0; i < 4; i++ { // halves of the columns
		VPERM2F128(U8(0x20), y(4+i), y(i), y(8+i))
		VPERM2F128(U8(0x31), y(4+i), y(i), y(12+i))
	}
	for i := 0; i < 8; i++ {
		VMOVAPS(y(8+i), y(i))
	}
}

// copy generates the pack of rows of K that run along the panel.
func (s source) copy() {
	name := "packCols" + s.name
	TEXT(name, NOSPLIT, "func(dst *uint32, stride int, src *byte, ld, n, w int)")
	Pragma("noescape")
	Doc(
		name+" writes 8w columns, n units of each. A unit is "+s.doc+":",
		"",
		"\tfor u := range n {",
		"\t\tfor j := range 8 * w {",
		fmt.Sprintf("\t\t\tdst[u*stride/4+j] = unit(src[u*%d*ld:], j)", s.rows),
		"\t\t}",
		"\t}",
	)
	dst, stride, src, ld := reg.RDI, reg.R8, reg.RSI, reg.R9
	left, w, width, from, to := reg.R10, reg.R11, reg.R12, reg.RAX, reg.RBX
	ld3 := reg.RDX
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Load(Param("n"), left)
	Load(Param("w"), width)
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	s.prepare()
	Label("unit")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(width, w)
	Label("block")
	s.gather(func(i int) Mem {
		return []Mem{
			{Base: from}, {Base: from, Index: ld, Scale: 1},
			{Base: from, Index: ld, Scale: 2}, {Base: from, Index: ld3, Scale: 1},
		}[i]
	}, Mem{Base: to})
	ADDQ(U8(uint8(s.width)), from)
	ADDQ(U8(32), to)
	DECQ(w)
	JNZ(LabelRef("block"))
	for i := 0; i < s.rows; i++ {
		ADDQ(ld, src)
	}
	ADDQ(stride, dst)
	DECQ(left)
	JNZ(LabelRef("unit"))
	VZEROUPPER()
	RET()
}
