package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ahead is how many rows before their use lines are fetched: rows that lie apart are beyond the hardware's own prefetching.
const ahead = 8

// gathers collect short rows that lie far apart, scatters put them back. In one loop many of their cache misses overlap.
func gathers() {
	const each = "for i < rows, j < n { "
	move{"gatherF32", "dst *float32, pitch int, src *float32, stride", each + "dst[i*pitch+j] = src[i*stride+j] }", 4, 4, false}.generate(
		func(m Mem, v reg.VecVirtual) { VMOVUPS(m, v) }, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) })
	move{"gatherF16", "dst *float32, pitch int, src *uint16, stride", each + "dst[i*pitch+j] = kernels.F32FromF16(src[i*stride+j]) }", 2, 4, false}.generate(
		func(m Mem, v reg.VecVirtual) { VCVTPH2PS(m, v) }, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) })
	move{"gatherBF16", "dst *float32, pitch int, src *uint16, stride", each + "dst[i*pitch+j] = kernels.F32FromBF16(src[i*stride+j]) }", 2, 4, false}.generate(
		loadBF16, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) })
	move{"scatterF32", "dst *float32, pitch int, src *float32, stride", each + "dst[i*pitch+j] = src[i*stride+j] }", 4, 4, true}.generate(
		func(m Mem, v reg.VecVirtual) { VMOVUPS(m, v) }, func(v reg.VecVirtual, m Mem) { VMOVUPS(v, m) })
	move{"scatterF16", "dst *uint16, pitch int, src *float32, stride", each + "dst[i*pitch+j] = kernels.F16FromF32(src[i*stride+j]) }", 4, 2, true}.generate(
		func(m Mem, v reg.VecVirtual) { VMOVUPS(m, v) }, func(v reg.VecVirtual, m Mem) { VCVTPS2PH(Imm(0), v, m) })
	move{"scatterBF16", "dst *uint16, pitch int, src *float32, stride", each + "dst[i*pitch+j] = kernels.BF16FromF32(src[i*stride+j]) }", 4, 2, true}.generate(
		func(m Mem, v reg.VecVirtual) { VMOVUPS(m, v) }, func(v reg.VecVirtual, m Mem) { storeWords(roundBF16(v), m) })
	weave()
}

func loadBF16(m Mem, v reg.VecVirtual) {
	VPMOVZXWD(m, v)
	VPSLLD(Imm(16), v, v)
}

// move copies rows of elements of so many bytes to rows of others.
type move struct {
	name, operands, doc string
	from, to            int
	scatter             bool // it is the rows of dst that lie apart
}

func (m move) generate(load func(Mem, reg.VecVirtual), store func(reg.VecVirtual, Mem)) {
	function(m.name, "func("+m.operands+", rows, n int)", m.doc+", n a multiple of 16")
	dst, pitch, src, stride, rows, n := integer("dst"), integer("pitch"), integer("src"), integer("stride"), integer("rows"), integer("n")
	SHLQ(Imm(uint64(m.to/2)), pitch) // in bytes
	SHLQ(Imm(uint64(m.from/2)), stride)
	next, j := GP64(), GP64()
	apart, step, size := src, stride, m.from
	if m.scatter {
		apart, step, size = dst, pitch, m.to
	}
	LEAQ(Mem{Base: apart, Index: step, Scale: ahead}, next)
	Label("row")
	XORQ(j, j)
	Label("columns")
	PREFETCHT0(Mem{Base: next, Index: j, Scale: uint8(size)})
	for lane := 0; lane < 16; lane += target.lanes {
		v := vec()
		load(Mem{Base: src, Index: j, Scale: uint8(m.from), Disp: m.from * lane}, v)
		store(v, Mem{Base: dst, Index: j, Scale: uint8(m.to), Disp: m.to * lane})
	}
	ADDQ(Imm(16), j)
	CMPQ(j, n)
	JL(LabelRef("columns"))
	ADDQ(stride, src)
	ADDQ(step, next)
	ADDQ(pitch, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

// integer is a parameter of one word.
func integer(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// weave makes pairs of the words of two rows.
func weave() {
	function("weave", "func(dst *float32, pitch int, src *uint16, stride, rows, n int)",
		"for i < rows, j < n { dst[i*pitch+j] = the bits src[2*i*stride+j] | src[(2*i+1)*stride+j]<<16 }, n a multiple of 16")
	dst, pitch, src, stride, rows, n := integer("dst"), integer("pitch"), integer("src"), integer("stride"), integer("rows"), integer("n")
	SHLQ(Imm(2), pitch)
	SHLQ(Imm(1), stride)
	second, nextLow, nextHigh, j := GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: src, Index: stride, Scale: ahead}, nextLow)
	Label("row")
	LEAQ(Mem{Base: src, Index: stride, Scale: 1}, second)
	LEAQ(Mem{Base: nextLow, Index: stride, Scale: 1}, nextHigh)
	XORQ(j, j)
	Label("columns")
	PREFETCHT0(Mem{Base: nextLow, Index: j, Scale: 2})
	PREFETCHT0(Mem{Base: nextHigh, Index: j, Scale: 2})
	for lane := 0; lane < 16; lane += target.lanes {
		low, high := vec(), vec()
		VPMOVZXWD(Mem{Base: src, Index: j, Scale: 2, Disp: 2 * lane}, low)
		loadBF16(Mem{Base: second, Index: j, Scale: 2, Disp: 2 * lane}, high)
		or(low, high, high)
		VMOVUPS(high, Mem{Base: dst, Index: j, Scale: 4, Disp: 4 * lane})
	}
	ADDQ(Imm(16), j)
	CMPQ(j, n)
	JL(LabelRef("columns"))
	LEAQ(Mem{Base: src, Index: stride, Scale: 2}, src)
	LEAQ(Mem{Base: nextLow, Index: stride, Scale: 2}, nextLow)
	ADDQ(pitch, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}
