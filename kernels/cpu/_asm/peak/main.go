// Command peak generates the assembly of kernels/cpu/peak: loops of independent
// multiply-adds on registers, and streams over memory.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

func main() {
	ConstraintExpr("amd64")
	fma := func(acc, x, y reg.VecPhysical) { VFMADD231PS(x, y, acc) }
	rate("fmaY", 12, ymm, 0x3f800000, "eight float32 multiply-adds", fma)
	rate("fmaZ", 24, zmm, 0x3f800000, "sixteen float32 multiply-adds", fma)
	rate("bf16Z", 24, zmm, 0x3f803f80, "32 bfloat16 multiply-adds into float32",
		func(acc, x, y reg.VecPhysical) { evex.VDPBF16PS(x, y, acc) })
	rate("int8Z", 24, zmm, 0x01030507, "64 uint8 by int8 multiply-adds into int32",
		func(acc, x, y reg.VecPhysical) { VPDPBUSD(x, y, acc) })
	rate("int16Y", 10, ymm, 0x00030007, "16 int16 multiply-adds into int32",
		func(acc, x, y reg.VecPhysical) {
			VPMADDWD(x, y, reg.Y15)
			VPADDD(reg.Y15, acc, acc)
		})
	read()
	triad()
	Generate()
}

// ymm and zmm return vector registers by number.
func ymm(i int) reg.VecPhysical {
	return []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}[i]
}

func zmm(i int) reg.VecPhysical {
	return []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}[i]
}

// rate generates a loop of independent instructions, enough of them to hide the
// latency. The operands are not zero: zeros may run faster.
func rate(name string, accs int, vec func(int) reg.VecPhysical, pattern uint32, doc string, op func(acc, x, y reg.VecPhysical)) {
	TEXT(name, NOSPLIT, "func(n int)")
	Pragma("noescape")
	Doc(
		name+" does n times "+fmt.Sprint(accs)+" vector operations of "+doc+":",
		"",
		"\tfor range n {",
		fmt.Sprintf("\t\tfor i := range %d { acc[i] += x * y }", accs),
		"\t}",
	)
	x, y := vec(0), vec(1)
	MOVL(U32(pattern), reg.EAX)
	VMOVD(reg.EAX, reg.X0)
	VPBROADCASTD(reg.X0, x)
	VMOVUPS(x, y)
	for i := range accs {
		VMOVUPS(x, vec(2+i))
	}
	Load(Param("n"), reg.RCX)
	Label("loop")
	for i := range accs {
		op(vec(2+i), x, y)
	}
	DECQ(reg.RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

const step = 128 // bytes in an iteration of a stream

// read generates a loop that only loads, from three streams as triad does: one
// stream alone leaves prefetchers idle.
func read() {
	TEXT("readY", NOSPLIT, "func(a, b, c *float32, n int)")
	Pragma("noescape")
	Doc("readY loads:", "", "\tfor i := range 32 * n { _, _, _ = a[i], b[i], c[i] }")
	Load(Param("a"), reg.RDI)
	Load(Param("b"), reg.RSI)
	Load(Param("c"), reg.RDX)
	Load(Param("n"), reg.RCX)
	Label("loop")
	for _, r := range []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX} {
		for off := 0; off < step; off += 32 {
			VMOVUPS(Mem{Base: r, Disp: off}, ymm(off/32))
		}
		SUBQ(I8(-step), r)
	}
	DECQ(reg.RCX)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// triad generates STREAM's triad with stores that bypass the caches.
func triad() {
	TEXT("triadY", NOSPLIT, "func(a, b, c *float32, n int)")
	Pragma("noescape")
	Doc(
		"triadY stores past the caches, to a aligned to 32 bytes:",
		"",
		"\tfor i := range 32 * n { a[i] = b[i] + 3*c[i] }",
	)
	Load(Param("a"), reg.RDI)
	Load(Param("b"), reg.RSI)
	Load(Param("c"), reg.RDX)
	Load(Param("n"), reg.RCX)
	MOVL(U32(0x40400000), reg.EAX)
	VMOVD(reg.EAX, reg.X15)
	VBROADCASTSS(reg.X15, reg.Y15)
	Label("loop")
	for off := 0; off < step; off += 32 {
		y := ymm(off / 32)
		VMOVUPS(Mem{Base: reg.RSI, Disp: off}, y)
		VFMADD231PS(Mem{Base: reg.RDX, Disp: off}, reg.Y15, y)
		VMOVNTPS(y, Mem{Base: reg.RDI, Disp: off})
	}
	for _, r := range []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX} {
		SUBQ(I8(-step), r)
	}
	DECQ(reg.RCX)
	JNZ(LabelRef("loop"))
	SFENCE()
	VZEROUPPER()
	RET()
}
