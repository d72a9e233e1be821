// Package evex encodes the AVX-512 instructions that avo and Go's assembler do
// not know. It covers register operands of 512 bits only, which is all that the
// kernels need.
package evex

import (
	"encoding/binary"
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// VDPBF16PS adds to each float32 lane of acc the dot product of the two bfloat16
// pairs that x and y hold there (Intel SDM, EVEX.512.F3.0F38.W0 52 /r).
func VDPBF16PS(y, x, acc reg.VecPhysical) { emit("VDPBF16PS", prefixF3, 0x52, y, x, acc) }

// VCVTNEPS2BF16 rounds 16 float32 of x to the bfloat16 in the low half of dst
// (EVEX.512.F3.0F38.W0 72 /r). Subnormal numbers become zero.
func VCVTNEPS2BF16(x, dst reg.VecPhysical) {
	emit("VCVTNEPS2BF16", prefixF3, 0x72, x, nil, dst)
}

// VCVTNE2PS2BF16 rounds the float32 of low and high to the bfloat16 of the halves
// of dst (EVEX.512.F2.0F38.W0 72 /r). Subnormal numbers become zero.
func VCVTNE2PS2BF16(low, high, dst reg.VecPhysical) {
	emit("VCVTNE2PS2BF16", prefixF2, 0x72, low, high, dst)
}

// The pp field of the EVEX prefix that stands for the bytes F3 and F2.
const (
	prefixF3 = 2
	prefixF2 = 3
)

// Encode returns the six bytes of a 512-bit instruction of map 0F38 with W = 0
// over registers: rm is the last source, vvvv the first, reg the destination.
// The register's high bits are stored inverted (Intel SDM vol. 2, 2.7.1).
func Encode(pp, opcode, rm, vvvv, reg byte) [6]byte {
	inv := func(v, bit byte) byte { return ^v >> bit & 1 }
	return [6]byte{
		0x62,
		inv(reg, 3)<<7 | inv(rm, 4)<<6 | inv(rm, 3)<<5 | inv(reg, 4)<<4 | 2,
		(^vvvv&15)<<3 | 1<<2 | pp,
		2<<5 | inv(vvvv, 4)<<3,
		opcode,
		3<<6 | reg&7<<3 | rm&7,
	}
}

// emit writes an instruction as two data words, with its text as a comment. One
// of two operands has no vvvv.
func emit(name string, pp, opcode byte, rm, vvvv, dst reg.VecPhysical) {
	first, inputs, text := byte(0), []operand.Op{rm, dst}, rm.Asm()
	if vvvv != nil {
		first, inputs, text = number(vvvv), append(inputs, vvvv), text+", "+vvvv.Asm()
	}
	code := Encode(pp, opcode, number(rm), first, number(dst))
	build.Commentf("%s %s, %s", name, text, dst.Asm())
	build.Instruction(&ir.Instruction{
		Opcode:   "LONG",
		Operands: []operand.Op{operand.U32(binary.LittleEndian.Uint32(code[:4]))},
		Inputs:   inputs,
		Outputs:  []operand.Op{dst},
	})
	build.Instruction(&ir.Instruction{
		Opcode:   "WORD",
		Operands: []operand.Op{operand.U16(binary.LittleEndian.Uint16(code[4:]))},
	})
}

func number(r reg.VecPhysical) byte {
	if r.Size() != 64 {
		panic(fmt.Sprintf("evex: %s is not a 512-bit register", r.Asm()))
	}
	return byte(r.PhysicalIndex())
}
