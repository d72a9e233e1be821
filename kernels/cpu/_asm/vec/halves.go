package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halves are the conversions. They take whole vectors only: the length is a multiple of the lanes.
func halves() {
	conversion("fromF16", "func(dst []float32, x []uint16)", "dst[i] = kernels.F32FromF16(x[i])", func(src, dst, index reg.Register) {
		v := vec()
		VCVTPH2PS(Mem{Base: src, Index: index, Scale: 2}, v)
		VMOVUPS(v, Mem{Base: dst, Index: index, Scale: 4})
	})
	conversion("fromBF16", "func(dst []float32, x []uint16)", "dst[i] = kernels.F32FromBF16(x[i])", func(src, dst, index reg.Register) {
		v := vec()
		loadBF16(Mem{Base: src, Index: index, Scale: 2}, v)
		VMOVUPS(v, Mem{Base: dst, Index: index, Scale: 4})
	})
	conversion("toF16", "func(dst []uint16, x []float32)", "dst[i] = kernels.F16FromF32(x[i])", func(src, dst, index reg.Register) {
		v := vec()
		VMOVUPS(Mem{Base: src, Index: index, Scale: 4}, v)
		VCVTPS2PH(Imm(0), v, Mem{Base: dst, Index: index, Scale: 2})
	})
	conversion("toBF16", "func(dst []uint16, x []float32)", "dst[i] = kernels.BF16FromF32(x[i])", func(src, dst, index reg.Register) {
		v := vec()
		VMOVUPS(Mem{Base: src, Index: index, Scale: 4}, v)
		storeWords(roundBF16(v), Mem{Base: dst, Index: index, Scale: 2})
	})
	quantize()
}

func conversion(name, signature, value string, body func(src, dst, index reg.Register)) {
	function(name, signature, "for i := range dst { "+value+" }, for whole vectors")
	dst, src := base("dst"), base("x")
	vectors(func(index reg.Register) { body(src, dst, index) })
	end()
}

// vectors runs body for every vector of dst.
func vectors(body func(index reg.Register)) {
	n, index := length("dst"), GP64()
	XORQ(index, index)
	Label("vector")
	CMPQ(index, n)
	JGE(LabelRef("done"))
	body(index)
	ADDQ(Imm(uint64(target.lanes)), index)
	JMP(LabelRef("vector"))
	Label("done")
}

// roundBF16 leaves the bits of the nearest bfloat16 in the low half of every lane. A NaN keeps its upper bits and becomes quiet.
func roundBF16(v reg.VecVirtual) reg.VecVirtual {
	upper, sum := vec(), vec()
	VPSRLD(Imm(16), v, upper)
	and(words(1), upper, sum) // ties to even
	VPADDD(v, sum, sum)
	addIntegers.of(words(0x7fff), sum, sum)
	VPSRLD(Imm(16), sum, sum)
	or(words(0x40), upper, upper)
	d := vec()
	const unordered = 3
	if wide() {
		nan := K()
		VCMPPS(Imm(unordered), v, v, nan)
		VPBLENDMD(upper, sum, nan, d)
	} else {
		nan := vec()
		VCMPPS(Imm(unordered), v, v, nan)
		VPBLENDVB(nan, upper, sum, d)
	}
	return d
}

// storeWords stores the low halves of all lanes.
func storeWords(v reg.VecVirtual, m Mem) {
	if wide() {
		VPMOVDW(v, m)
		return
	}
	x := XMM()
	VEXTRACTI128(Imm(1), v, x)
	VPACKUSDW(x, v.AsX(), x)
	VMOVDQU(x, m)
}

func quantize() {
	function("quantize", "func(dst []int8, x []float32, inv float32)",
		"for i := range dst { dst[i] = x[i]*inv, rounded to nearest even and within ±127 }, for whole vectors")
	dst, src, inv := base("dst"), base("x"), scalar("inv")
	vectors(func(index reg.Register) {
		v := vec()
		VMULPS(Mem{Base: src, Index: index, Scale: 4}, inv, v)
		v = bounded(v, -127, 127)
		VCVTPS2DQ(v, v)
		m := Mem{Base: dst, Index: index, Scale: 1}
		if wide() {
			VPMOVSDB(v, m)
			return
		}
		x := XMM()
		VEXTRACTI128(Imm(1), v, x)
		VPACKSSDW(x, v.AsX(), x)
		VPACKSSWB(x, x, x)
		VMOVQ(x, m)
	})
	end()
}
