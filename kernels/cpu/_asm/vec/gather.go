package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ahead is how many rows before their use lines are fetched: rows that lie apart are beyond the hardware's own prefetching.
const ahead = 8

// gathers collect short rows that lie far apart. In one loop many of their cache misses overlap.
func gathers() {
	gather("gatherF32", "float32", 4, "src[i*stride+j]", func(m Mem, v reg.VecVirtual) { VMOVUPS(m, v) })
	gather("gatherF16", "uint16", 2, "kernels.F32FromF16(src[i*stride+j])", func(m Mem, v reg.VecVirtual) { VCVTPH2PS(m, v) })
	gather("gatherBF16", "uint16", 2, "kernels.F32FromBF16(src[i*stride+j])", func(m Mem, v reg.VecVirtual) {
		VPMOVZXWD(m, v)
		VPSLLD(Imm(16), v, v)
	})
}

func gather(name, element string, size int, value string, load func(Mem, reg.VecVirtual)) {
	function(name, "func(dst *float32, pitch int, src *"+element+", stride, rows, n int)",
		"for i < rows, j < n { dst[i*pitch+j] = "+value+" }, n a multiple of 16")
	get := func(name string) reg.GPVirtual {
		r := GP64()
		Load(Param(name), r)
		return r
	}
	dst, pitch, src, stride, rows, n := get("dst"), get("pitch"), get("src"), get("stride"), get("rows"), get("n")
	SHLQ(Imm(2), pitch)
	SHLQ(Imm(uint64(size/2)), stride) // in bytes
	next, j := GP64(), GP64()
	LEAQ(Mem{Base: src, Index: stride, Scale: ahead}, next)
	Label("row")
	XORQ(j, j)
	Label("columns")
	PREFETCHT0(Mem{Base: next, Index: j, Scale: uint8(size)})
	for lane := 0; lane < 16; lane += target.lanes {
		v := vec()
		load(Mem{Base: src, Index: j, Scale: uint8(size), Disp: size * lane}, v)
		VMOVUPS(v, Mem{Base: dst, Index: j, Scale: 4, Disp: 4 * lane})
	}
	ADDQ(Imm(16), j)
	CMPQ(j, n)
	JL(LabelRef("columns"))
	ADDQ(stride, src)
	ADDQ(stride, next)
	ADDQ(pitch, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}
