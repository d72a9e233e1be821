package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// rows generates the conversions of finished rows, eight elements a step, or 32
// where the instruction is.
func rows() {
	roundTables()
	dequantize()
	convert("storeBF16Y", "c[i] = bfloat16(acc[i])", 8, func(acc, c Mem) {
		VMOVUPS(acc, reg.Y0)
		roundBF16()
		VMOVUPS(reg.X0, c)
	})
	convert("storeBF16Z", "c[i] = bfloat16(acc[i]), with zero for subnormal numbers", 32, func(acc, c Mem) {
		VMOVUPS(acc, reg.Z0)
		VMOVUPS(acc.Offset(64), reg.Z1)
		evex.VCVTNE2PS2BF16(reg.Z0, reg.Z1, reg.Z0)
		VMOVUPS(reg.Z0, c)
	})
	convert("storeF16Y", "c[i] = float16(acc[i])", 8, func(acc, c Mem) {
		VMOVUPS(acc, reg.Y0)
		VCVTPS2PH(U8(0), reg.Y0, c)
	})
	convert("addBF16Y", "acc[i] += float32(c[i]), of bfloat16", 8, addWide(loadBF16))
	convert("addF16Y", "acc[i] += float32(c[i]), of float16", 8, addWide(loadF16))
}

func addWide(load func(Mem, reg.VecPhysical)) func(acc, c Mem) {
	return func(acc, c Mem) {
		load(c, reg.Y0)
		VADDPS(acc, reg.Y0, reg.Y0)
		VMOVUPS(reg.Y0, acc)
	}
}

// convert generates a loop over acc and c, so many elements a step.
func convert(name, doc string, step int, body func(acc, c Mem)) {
	TEXT(name, NOSPLIT, "func(c *uint16, acc *float32, n int)")
	Pragma("noescape")
	Doc(name+" is", "", fmt.Sprintf("\tfor i := range %d * n { %s }", step, doc))
	Load(Param("c"), reg.RDI)
	Load(Param("acc"), reg.RSI)
	Load(Param("n"), reg.RCX)
	Label("loop")
	body(Mem{Base: reg.RSI}, Mem{Base: reg.RDI})
	ADDQ(U32(uint32(4*step)), reg.RSI)
	ADDQ(U8(uint8(2*step)), reg.RDI)
	DECQ(reg.RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

func roundTables() {
	for _, t := range []struct {
		name string
		v    uint32
	}{{"one", 1}, {"half", 0x7fff}, {"quiet", 0x400000}} {
		GLOBL(t.name, RODATA|NOPTR)
		for i := 0; i < 8; i++ {
			DATA(4*i, U32(t.v))
		}
	}
}

// roundBF16 rounds Y0 to eight bfloat16 in X0: to nearest, ties to even; a NaN
// is made quiet instead, since rounding could carry it to infinity.
func roundBF16() {
	VPSRLD(U8(16), reg.Y0, reg.Y1)
	VPAND(table("one"), reg.Y1, reg.Y1)
	VPADDD(table("half"), reg.Y1, reg.Y1)
	VPADDD(reg.Y0, reg.Y1, reg.Y1)
	VPOR(table("quiet"), reg.Y0, reg.Y2)
	VCMPPS(U8(3), reg.Y0, reg.Y0, reg.Y3)
	VBLENDVPS(reg.Y3, reg.Y2, reg.Y1, reg.Y1)
	VPSRLD(U8(16), reg.Y1, reg.Y1)
	VEXTRACTI128(U8(1), reg.Y1, reg.X0)
	VPACKUSDW(reg.X0, reg.X1, reg.X0)
}

func table(name string) Mem { return NewDataAddr(NewStaticSymbol(name), 0) }

func dequantize() {
	TEXT("dequantizeY", NOSPLIT, "func(dst, acc *float32, scaleA float32, scaleB *float32, n int)")
	Pragma("noescape")
	Doc("dequantizeY is, with the int32 sums in acc,", "",
		"\tfor i := range 8 * n { dst[i] = scaleA * float32(int32(acc[i])) * scaleB[i] }")
	Load(Param("dst"), reg.R8)
	Load(Param("acc"), reg.RDI)
	Load(Param("scaleB"), reg.RDX)
	Load(Param("n"), reg.RCX)
	scale, _ := Param("scaleA").Resolve()
	VBROADCASTSS(scale.Addr, reg.Y1)
	Label("loop")
	VCVTDQ2PS(Mem{Base: reg.RDI}, reg.Y0)
	VMULPS(reg.Y1, reg.Y0, reg.Y0)
	VMULPS(Mem{Base: reg.RDX}, reg.Y0, reg.Y0)
	VMOVUPS(reg.Y0, Mem{Base: reg.R8})
	for _, r := range []reg.GPPhysical{reg.R8, reg.RDI, reg.RDX} {
		ADDQ(U8(32), r)
	}
	DECQ(reg.RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
