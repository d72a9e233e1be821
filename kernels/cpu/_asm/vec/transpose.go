package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose turns tiles of eight by eight, which fit eight 256-bit registers whatever the instruction set.
func transpose() {
	function("transpose", "func(dst *float32, ldd int, src *float32, lds, rows, cols int)",
		"for i < rows, j < cols { dst[j*ldd+i] = src[i*lds+j] }, rows and cols multiples of 8")
	get := func(name string) reg.GPVirtual {
		r := GP64()
		Load(Param(name), r)
		return r
	}
	dst, ldd, src, lds, rows := get("dst"), get("ldd"), get("src"), get("lds"), get("rows")
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), lds)
	to, from, cols := GP64(), GP64(), GP64()
	Label("band")
	MOVQ(dst, to)
	MOVQ(src, from)
	Load(Param("cols"), cols)
	Label("tile")
	tile(to, ldd, from, lds)
	ADDQ(Imm(32), from)
	for range 8 {
		ADDQ(ldd, to)
	}
	SUBQ(Imm(8), cols)
	JNZ(LabelRef("tile"))
	ADDQ(Imm(32), dst)
	for range 8 {
		ADDQ(lds, src)
	}
	SUBQ(Imm(8), rows)
	JNZ(LabelRef("band"))
	end()
}

func tile(to, ldd, from, lds reg.Register) {
	var rows, pairs, fours [8]reg.VecVirtual
	p := GP64()
	MOVQ(from, p)
	for i := range rows {
		rows[i] = YMM()
		VMOVUPS(Mem{Base: p}, rows[i])
		ADDQ(lds, p)
	}
	for i := 0; i < 8; i += 2 {
		pairs[i], pairs[i+1] = YMM(), YMM()
		VUNPCKLPS(rows[i+1], rows[i], pairs[i])
		VUNPCKHPS(rows[i+1], rows[i], pairs[i+1])
	}
	for i := 0; i < 8; i += 4 {
		for half := range 2 {
			a, b := pairs[i+half], pairs[i+half+2]
			fours[i+2*half], fours[i+2*half+1] = YMM(), YMM()
			VSHUFPS(Imm(0x44), b, a, fours[i+2*half])
			VSHUFPS(Imm(0xee), b, a, fours[i+2*half+1])
		}
	}
	MOVQ(to, p)
	for _, halves := range []uint64{0x20, 0x31} {
		for i := range 4 {
			row := YMM()
			VPERM2F128(Imm(halves), fours[i+4], fours[i], row)
			VMOVUPS(row, Mem{Base: p})
			ADDQ(ldd, p)
		}
	}
}
