package main

import (
	"fmt"
	"math/bits"

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
	bytes  int                                // of eight units in a row
	load   func(m Mem, v reg.VecPhysical)     // eight units of a row
	rows   int                                // rows of K in a unit
	width  int                                // bytes of eight columns in one row
	gather func(row func(i int) Mem, out Mem) // eight columns' units

	// For AVX-512, or nil: sixteen columns' units in Z0, with what setup loads.
	setup func()
	wide  func(row func(i int) Mem)
}

func packs() {
	flipTable()
	shuffleTables()
	for _, s := range sources() {
		if s.load != nil {
			s.transpose()
		}
		if s.gather != nil {
			s.copy()
		}
	}
	turn()
}

func sources() []source {
	return []source{
		{
			name: "32", doc: "a 32-bit word: a float32, two bfloat16 or four int8 of one row",
			bytes: 32, load: loadWords,
			rows: 1, width: 32, gather: gatherWords,
		},
		{
			name: "BF16", doc: "a bfloat16 widened to float32",
			bytes: 16, load: loadBF16,
			rows: 1, width: 16, gather: widen(loadBF16),
		},
		{
			name: "F16", doc: "a float16 widened to float32",
			bytes: 16, load: loadF16,
			rows: 1, width: 16, gather: widen(loadF16),
		},
		{
			name: "I16", doc: "two int8 widened to int16",
			bytes: 16, load: loadI16,
			rows: 2, width: 8, gather: gatherI16,
		},
		{
			name: "U8", doc: "four int8, 128 added to each to make uint8",
			bytes: 32, load: loadFlipped,
			rows: 4, width: 8, gather: func(row func(int) Mem, out Mem) { gatherBytes(row, out, true) }, setup: setupBytes, wide: wideFlipped,
		},
		{
			name: "Pairs", doc: "two bfloat16 from two rows",
			rows: 2, width: 16, gather: gatherPairs, setup: setupPairs, wide: widePairs,
		},
		{
			name: "Quads", doc: "four int8 from four rows",
			rows: 4, width: 8, gather: func(row func(int) Mem, out Mem) { gatherBytes(row, out, false) }, setup: setupBytes, wide: wideBytes,
		},
	}
}

// flipTable holds the sign bits that make an int8 a uint8, 128 higher.
func flipTable() {
	GLOBL("flip", RODATA|NOPTR)
	for i := 0; i < 8; i++ {
		DATA(4*i, U32(0x80808080))
	}
}

var flip = NewDataAddr(NewStaticSymbol("flip"), 0)

func loadWords(m Mem, v reg.VecPhysical) { VMOVUPS(m, v) }

func loadBF16(m Mem, v reg.VecPhysical) {
	VPMOVZXWD(m, v)
	VPSLLD(U8(16), v, v)
}

func loadF16(m Mem, v reg.VecPhysical) { VCVTPH2PS(m, v) }

func loadI16(m Mem, v reg.VecPhysical) { VPMOVSXBW(m, v) }

func loadFlipped(m Mem, v reg.VecPhysical) {
	VMOVUPS(m, v)
	VPXOR(flip, v, v)
}

func gatherWords(row func(int) Mem, out Mem) {
	VMOVUPS(row(0), reg.Y0)
	VMOVUPS(reg.Y0, out)
}

// widen returns the gather of a type whose units are single elements.
func widen(load func(Mem, reg.VecPhysical)) func(func(int) Mem, Mem) {
	return func(row func(int) Mem, out Mem) {
		load(row(0), reg.Y0)
		VMOVUPS(reg.Y0, out)
	}
}

func gatherPairs(row func(int) Mem, out Mem) {
	VMOVUPS(row(0), reg.X0)
	VMOVUPS(row(1), reg.X1)
	storeInterleaved(out)
}

func gatherI16(row func(int) Mem, out Mem) {
	VPMOVSXBW(row(0), reg.X0)
	VPMOVSXBW(row(1), reg.X1)
	storeInterleaved(out)
}

func gatherBytes(row func(int) Mem, out Mem, flipped bool) {
	for i, x := range []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3} {
		VMOVQ(row(i), x)
	}
	VPUNPCKLBW(reg.X1, reg.X0, reg.X0)
	VPUNPCKLBW(reg.X3, reg.X2, reg.X1)
	if flipped {
		VPXOR(flip, reg.X0, reg.X0)
		VPXOR(flip, reg.X1, reg.X1)
	}
	storeInterleaved(out)
}

// shuffleTables hold the orders of units that are made of several rows, in which the rows
// follow each other.
func shuffleTables() {
	GLOBL("pairorder", RODATA|NOPTR) // of 32 words, by columns
	for i := range 32 {
		DATA(2*i, U16(uint16(i%2*16+i/2)))
	}
	GLOBL("quadorder", RODATA|NOPTR) // of 16 words of four columns, by those
	for i := range 16 {
		DATA(4*i, U32(uint32(i%4*4+i/4)))
	}
	GLOBL("byteorder", RODATA|NOPTR) // of the 16 bytes of four columns, by columns
	for i := range 64 {
		DATA(i, U8(uint8(i%4*4+i%16/4)))
	}
}

func setupPairs() {
	VMOVDQU16(NewDataAddr(NewStaticSymbol("pairorder"), 0), reg.Z4)
}

func widePairs(row func(int) Mem) {
	VMOVUPS(row(0), reg.Y0)
	VINSERTI64X4(U8(1), row(1), reg.Z0, reg.Z0)
	VPERMW(reg.Z0, reg.Z4, reg.Z0)
}

func setupBytes() {
	VMOVDQU32(NewDataAddr(NewStaticSymbol("quadorder"), 0), reg.Z4)
	VMOVDQU32(NewDataAddr(NewStaticSymbol("byteorder"), 0), reg.Z5)
	VBROADCASTSS(flip, reg.Z6)
}

func wideBytes(row func(int) Mem) {
	VMOVUPS(row(0), reg.X0)
	for i := 1; i < 4; i++ {
		VINSERTI32X4(U8(uint8(i)), row(i), reg.Z0, reg.Z0)
	}
	VPERMD(reg.Z0, reg.Z4, reg.Z0)
	VPSHUFB(reg.Z5, reg.Z0, reg.Z0)
}

func wideFlipped(row func(int) Mem) {
	wideBytes(row)
	VPXORD(reg.Z6, reg.Z0, reg.Z0)
}

// storeInterleaved writes the 16-bit words of X0 and X1 in turn.
func storeInterleaved(out Mem) {
	VPUNPCKLWD(reg.X1, reg.X0, reg.X2)
	VPUNPCKHWD(reg.X1, reg.X0, reg.X3)
	VMOVUPS(reg.X2, out)
	VMOVUPS(reg.X3, out.Offset(16))
}

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
	Label("loop")
	for i, r := range src {
		s.load(Mem{Base: r, Index: at, Scale: 1}, ymms[i])
	}
	transpose8()
	for i := range src {
		VMOVUPS(ymms[i], Mem{Base: dst})
		ADDQ(stride, dst)
	}
	ADDQ(U8(uint8(s.bytes)), at)
	DECQ(left)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

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

// turn generates the transposition of words between strided rows.
func turn() {
	TEXT("turnWords", NOSPLIT, "func(dst *uint32, stride int, src *uint32, ld, n int)")
	Pragma("noescape")
	Doc("turnWords transposes 8n rows of eight words:", "",
		"\tfor r := range 8 * n {", "\t\tfor i := range 8 {", "\t\t\tdst[i*stride/4+r] = src[r*ld/4+i]", "\t\t}", "\t}")
	dst, stride, src, ld, left := reg.RDI, reg.R8, reg.RSI, reg.R9, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Load(Param("n"), left)
	Label("loop")
	for i := range 8 {
		VMOVUPS(Mem{Base: src}, ymms[i])
		ADDQ(ld, src)
	}
	transpose8()
	MOVQ(dst, reg.RAX)
	for i := range 8 {
		VMOVUPS(ymms[i], Mem{Base: reg.RAX})
		ADDQ(stride, reg.RAX)
	}
	ADDQ(U8(32), dst)
	DECQ(left)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// copyAhead is how many units before their use lines are fetched into the cache: rows
// lie apart, mostly on pages of their own, where the hardware's own prefetching ends.
const copyAhead = 4

// copy generates the pack of rows of K that run along the panels.
func (s source) copy() {
	name := "packCols" + s.name
	TEXT(name, NOSPLIT, "func(dst *uint32, stride, apart, per, next int, src *byte, ld, n, w int)")
	Pragma("noescape")
	Doc(
		name+" writes 8w columns, n units of each, two eights at a time. A unit is "+s.doc+":",
		"",
		"\tfor u := range n {",
		"\t\tfor j := range 8 * w {",
		"\t\t\tpair, half := j/16, j/8%2",
		"\t\t\tto := u*stride + pair/per*next + pair%per*64 + half*apart // bytes",
		fmt.Sprintf("\t\t\tdst[to/4+j%%8] = unit(src[u*%d*ld:], j)", s.rows),
		"\t\t}",
		"\t}",
	)
	dst, src, ld, from, to := reg.RDI, reg.RSI, reg.R9, reg.RAX, reg.RBX
	left, pairs, inStrip := reg.R10, reg.R11, reg.R12
	apart, per, jump, ahead, ld3, tmp := reg.R13, reg.RCX, reg.R8, reg.R14, reg.RDX, reg.R15
	Load(Param("dst"), dst)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Load(Param("n"), left)
	Load(Param("apart"), apart)
	Load(Param("per"), per)
	Load(Param("next"), jump)
	MOVQ(per, tmp)
	SHLQ(U8(6), tmp)
	SUBQ(tmp, jump)
	rowFrom := func(base reg.Register, i int) Mem {
		return []Mem{
			{Base: base}, {Base: base, Index: ld, Scale: 1},
			{Base: base, Index: ld, Scale: 2}, {Base: base, Index: ld3, Scale: 1},
		}[i]
	}
	row := func(i int) Mem { return rowFrom(from, i) }
	fetch := func() {
		LEAQ(Mem{Base: from, Index: ahead, Scale: 1}, tmp)
		for i := range s.rows {
			PREFETCHT0(rowFrom(tmp, i))
		}
	}
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	MOVQ(ld, ahead)
	SHLQ(U8(uint8(bits.TrailingZeros(uint(copyAhead*s.rows)))), ahead)
	if s.wide != nil {
		s.setup()
	}
	Label("unit")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(per, inStrip)
	Load(Param("w"), pairs)
	SHRQ(U8(1), pairs)
	JZ(LabelRef("last"))
	Label("pair")
	fetch()
	if s.wide != nil {
		s.wide(row)
		VMOVUPS(reg.Y0, Mem{Base: to})
		VEXTRACTI64X4(U8(1), reg.Z0, Mem{Base: to, Index: apart, Scale: 1})
		ADDQ(U8(uint8(2*s.width)), from)
	} else {
		s.gather(row, Mem{Base: to})
		ADDQ(U8(uint8(s.width)), from)
		s.gather(row, Mem{Base: to, Index: apart, Scale: 1})
		ADDQ(U8(uint8(s.width)), from)
	}
	ADDQ(U8(64), to)
	DECQ(inStrip)
	JNZ(LabelRef("same"))
	ADDQ(jump, to)
	MOVQ(per, inStrip)
	Label("same")
	DECQ(pairs)
	JNZ(LabelRef("pair"))
	Label("last")
	Load(Param("w"), tmp)
	TESTQ(U32(1), tmp)
	JZ(LabelRef("next"))
	fetch()
	s.gather(row, Mem{Base: to})
	Label("next")
	for i := 0; i < s.rows; i++ {
		ADDQ(ld, src)
	}
	Load(Param("stride"), tmp)
	ADDQ(tmp, dst)
	DECQ(left)
	JNZ(LabelRef("unit"))
	VZEROUPPER()
	RET()
}
