package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// strips generates the tiles of the block-sparse weight gradient: eight rows by some
// vectors, whose strips of B and places in C lie anywhere. A tile of three vectors
// loads 11 times for 24 multiply-adds, so it has time to copy the strip that is packed
// next, which would take a fifth of the time at 90 % zeros.
func strips() {
	for v := 1; v <= 3; v++ {
		stripTile("F32", "a*b", v, func(a, b, acc reg.VecPhysical) { VFMADD231PS(b, a, acc) })
		stripTile("BF16", pairs, v, func(a, b, acc reg.VecPhysical) { evex.VDPBF16PS(b, a, acc) })
	}
	addLines()
}

func stripTile(name, doc string, vectors int, mac func(a, b, acc reg.VecPhysical)) {
	name = fmt.Sprintf("strips%sZ%d", name, vectors)
	TEXT(name, NOSPLIT, "func(k int, a *uint32, bc *[6]uintptr, ldc int, from *byte, step int, to *uint32, walk *uintptr)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is a stripsFunc of %d vectors, where dot is %s.", name, vectors, doc))
	left, a, bc, off, tmp := reg.RCX, reg.RSI, reg.RDI, reg.RAX, reg.RBX
	from, step, to := reg.RDX, reg.R11, reg.R13
	b := []reg.GPPhysical{reg.R8, reg.R9, reg.R10}
	w := walk{state: reg.R12, at: reg.R14, left: reg.R15}
	acc := func(r, v int) reg.VecPhysical { return zmms[8+r*vectors+v] }
	Load(Param("bc"), bc)
	stripTargets(bc, step, tmp, vectors)
	Load(Param("k"), left)
	Load(Param("a"), a)
	Load(Param("from"), from)
	Load(Param("step"), step)
	Load(Param("to"), to)
	Load(Param("walk"), w.state)
	w.begin()
	for v := range vectors {
		MOVQ(Mem{Base: bc, Disp: 8 * v}, b[v])
	}
	for i := range panel * vectors {
		VPXORD(acc(0, i), acc(0, i), acc(0, i))
	}
	XORQ(off, off)
	Label("unit")
	for v := range vectors {
		VMOVUPS(Mem{Base: b[v], Index: off, Scale: 1}, zmms[1+v])
	}
	for r := range panel {
		VBROADCASTSS(Mem{Base: a, Index: off, Scale: 1, Disp: 4 * r}, zmms[0])
		for v := range vectors {
			mac(zmms[0], zmms[1+v], acc(r, v))
		}
	}
	w.fetch("fetched")
	TESTQ(from, from)
	JZ(LabelRef("copied"))
	VMOVUPS(Mem{Base: from}, zmms[4])
	VMOVUPS(zmms[4], Mem{Base: to, Index: off, Scale: 1})
	ADDQ(step, from)
	Label("copied")
	ADDQ(U8(64), off)
	DECQ(left)
	JNZ(LabelRef("unit"))
	w.end()
	ldc := step
	Load(Param("ldc"), ldc)
	SHLQ(U8(2), ldc)
	for v := range vectors {
		c := b[v]
		MOVQ(Mem{Base: bc, Disp: 8 * (3 + v)}, c)
		for r := range panel {
			VADDPS(Mem{Base: c}, acc(r, v), acc(r, v))
			VMOVUPS(acc(r, v), Mem{Base: c})
			if r+1 < panel {
				ADDQ(ldc, c)
			}
		}
	}
	VZEROUPPER()
	RET()
}

// addLines generates the sum of what workers computed apart.
func addLines() {
	TEXT("addLines", NOSPLIT, "func(to, from *float32, n int)")
	Pragma("noescape")
	Doc("addLines is", "", "\tfor i := range 16 * n { to[i] += from[i] }")
	to, from, left := reg.RDI, reg.RSI, reg.RCX
	Load(Param("to"), to)
	Load(Param("from"), from)
	Load(Param("n"), left)
	Label("line")
	VMOVUPS(Mem{Base: to}, reg.Z0)
	VADDPS(Mem{Base: from}, reg.Z0, reg.Z0)
	VMOVUPS(reg.Z0, Mem{Base: to})
	ADDQ(U8(64), to)
	ADDQ(U8(64), from)
	DECQ(left)
	JNZ(LabelRef("line"))
	VZEROUPPER()
	RET()
}

// stripTargets asks for the places in C, which were last used a part of K ago.
func stripTargets(bc, ldc, c reg.GPPhysical, vectors int) {
	Load(Param("ldc"), ldc)
	SHLQ(U8(2), ldc)
	for v := range vectors {
		MOVQ(Mem{Base: bc, Disp: 8 * (3 + v)}, c)
		for r := range panel {
			PREFETCHT0(Mem{Base: c})
			if r+1 < panel {
				ADDQ(ldc, c)
			}
		}
	}
}
