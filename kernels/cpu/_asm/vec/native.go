package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// native are the loops that round to bfloat16 by AVX512_BF16, whose conversions take subnormal numbers for zero.
func native() {
	toBF16Native()
	softmax("softmaxBF16")
	scoreGradBF16()
}

// roundTo rounds a vector to words, all of them: what a partial one holds past its end must be zero.
func (a at) roundTo(v reg.VecVirtual, words reg.Register) {
	VMOVAPS(v, reg.Z31)
	evex.VCVTNEPS2BF16(reg.Z31, reg.Z31)
	VMOVUPS(reg.Y31, Mem{Base: words, Index: a.index, Scale: 2, Disp: 2 * a.disp})
}

// toBF16Native takes pairs of vectors without subnormal numbers by the instruction, others as toBF16 does.
func toBF16Native() {
	function("toBF16Native", "func(dst []uint16, x []float32)", "for i := range dst { dst[i] = kernels.BF16FromF32(x[i]) }, for whole vectors")
	dst, src, left, index := base("dst"), base("x"), length("dst"), GP64()
	XORQ(index, index)
	value := func(half int) Mem { return Mem{Base: src, Index: index, Scale: 4, Disp: 64 * half} }
	place := Mem{Base: dst, Index: index, Scale: 2}
	Label("pair")
	SUBQ(Imm(32), left)
	JL(LabelRef("last"))
	VMOVUPS(value(0), reg.Z0)
	VMOVUPS(value(1), reg.Z1)
	const subnormal = 0x20
	VFPCLASSPSZ(Imm(subnormal), reg.Z0, reg.K1)
	VFPCLASSPSZ(Imm(subnormal), reg.Z1, reg.K2)
	KORTESTW(reg.K1, reg.K2)
	JNZ(LabelRef("exact"))
	evex.VCVTNE2PS2BF16(reg.Z0, reg.Z1, reg.Z0)
	VMOVUPS(reg.Z0, place)
	ADDQ(Imm(32), index)
	JMP(LabelRef("pair"))
	Label("exact")
	roundVector(value(0), place)
	roundVector(value(1), place.Offset(32))
	ADDQ(Imm(32), index)
	JMP(LabelRef("pair"))
	Label("last")
	ADDQ(Imm(32), left)
	JZ(LabelRef("done"))
	roundVector(value(0), place)
	Label("done")
	end()
}

func roundVector(from, to Mem) {
	v := vec()
	VMOVUPS(from, v)
	storeWords(roundBF16(v), to)
}

func scoreGradBF16() {
	function("scoreGradBF16", "func(p, dp []uint16, s, ds []float32, scale, shift, d float32)",
		"for i := range s { e := exp(scale*s[i] - shift); p[i] = bf16(e); dp[i] = bf16(scale*e*(ds[i]-d)) }, and zeros to the end of the vector")
	p, dp, s, ds := base("p"), base("dp"), base("s"), base("ds")
	scale, shift, d := scalar("scale"), scalar("shift"), scalar("d")
	loop(length("s"), 2, func(a at) {
		v := a.load(s)
		VFMSUB213PS(shift, scale, v)
		e := expTo(v, roundedDegree)
		a.roundTo(a.clear(e).(reg.VecVirtual), p)
		g := minus(a.load(ds), d)
		VMULPS(scale, e, e)
		VMULPS(e, g, g)
		a.roundTo(a.clear(g).(reg.VecVirtual), dp)
	})
	end()
}
