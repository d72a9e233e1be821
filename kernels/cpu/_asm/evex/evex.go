// Package evex encodes the AVX-512 instructions that avo and Go's assembler do
// not know. It covers register operands of 512 bits, and one broadcast from memory,
// which is all that the kernels need.
package evex

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// VDPBF16PS adds to each float32 lane of acc the dot product of the two bfloat16
// pairs that x and y hold there (Intel SDM, EVEX.512.F3.0F38.W0 52 /r).
func VDPBF16PS(y, x, acc reg.VecPhysical) { emit("VDPBF16PS", prefixF3, 0x52, y, x, acc) }

// VDPBF16PSBroadcast does the same with the pair at m as all of y's.
func VDPBF16PSBroadcast(m operand.Mem, x, acc reg.VecPhysical) {
	code := EncodeBroadcast(prefixF3, 0x52, byte(m.Base.(reg.Physical).PhysicalIndex()), int8(m.Disp/4), number(x), number(acc))
	if m.Index != nil {
		code = Indexed(code, byte(m.Index.(reg.Physical).PhysicalIndex()), m.Scale)
	}
	build.Commentf("VDPBF16PS.BCST %s, %s, %s", m.Asm(), x.Asm(), acc.Asm())
	write(code, []operand.Op{m, x, acc}, acc)
}

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

// EncodeBroadcast returns the seven bytes of such an instruction whose last source
// is a 32-bit word in memory, in every lane: 4*disp bytes from a general register,
// but none of SP, BP, R12 and R13, whose encoding differs.
func EncodeBroadcast(pp, opcode, base byte, disp int8, vvvv, reg byte) []byte {
	if base&7 == 4 || base&7 == 5 {
		panic("evex: base register with an encoding of its own")
	}
	code := Encode(pp, opcode, base, vvvv, reg)
	code[3] |= 1 << 4       // broadcast
	code[5] ^= (3 ^ 1) << 6 // a displacement of one byte, counted in words
	return append(code[:], byte(disp))
}

// Indexed returns the instruction of EncodeBroadcast with a second general register in
// its address, times a scale of 1, 2, 4 or 8: any but SP. A byte between ModRM and the
// displacement names both registers (Intel SDM vol. 2, 2.1.5).
func Indexed(code []byte, index, scale byte) []byte {
	const escape = 4 // in ModRM
	if index == escape {
		panic("evex: SP cannot be an index")
	}
	modRM := len(code) - 2
	sib := byte(bits.TrailingZeros8(scale))<<6 | index&7<<3 | code[modRM]&7
	code = slices.Insert(slices.Clone(code), modRM+1, sib)
	code[modRM] = code[modRM]&^7 | escape
	code[1] ^= index >> 3 & 1 << 6 // stored inverted, as all high bits
	return code
}

// emit writes an instruction with its text as a comment. One of two operands has
// no vvvv.
func emit(name string, pp, opcode byte, rm, vvvv, dst reg.VecPhysical) {
	first, inputs, text := byte(0), []operand.Op{rm, dst}, rm.Asm()
	if vvvv != nil {
		first, inputs, text = number(vvvv), append(inputs, vvvv), text+", "+vvvv.Asm()
	}
	code := Encode(pp, opcode, number(rm), first, number(dst))
	build.Commentf("%s %s, %s", name, text, dst.Asm())
	write(code[:], inputs, dst)
}

// write emits the six to eight bytes of an instruction as data.
func write(code []byte, inputs []operand.Op, output operand.Op) {
	build.Instruction(&ir.Instruction{
		Opcode:   "LONG",
		Operands: []operand.Op{operand.U32(binary.LittleEndian.Uint32(code))},
		Inputs:   inputs,
		Outputs:  []operand.Op{output},
	})
	build.Instruction(&ir.Instruction{
		Opcode:   "WORD",
		Operands: []operand.Op{operand.U16(binary.LittleEndian.Uint16(code[4:]))},
	})
	for _, b := range code[6:] {
		build.Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(b)}})
	}
}

func number(r reg.VecPhysical) byte {
	if r.Size() != 64 {
		panic(fmt.Sprintf("evex: %s is not a 512-bit register", r.Asm()))
	}
	return byte(r.PhysicalIndex())
}
