package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// turned generates the tiles for blocks of one vector, and the packing for them. With
// outputs along the lanes, such a block loads a unit of A for each multiply-add, and a
// core has no more loads than multiply-adds to give. So rows of A lie along the lanes
// here, and the sums are transposed as they are stored.
func turned() {
	GLOBL("quads", RODATA|NOPTR)
	for i, q := range []uint64{0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15} {
		DATA(8*i, U64(q))
	}
	fma := func(a, b, acc reg.VecPhysical) { VFMADD231PS(b, a, acc) }
	bf16 := func(a, b, acc reg.VecPhysical) { evex.VDPBF16PS(b, a, acc) }
	for v := 1; v <= 3; v++ {
		turnedTile{"turnedF32", v, "a*b", fma, 64, 4}.generate()
		turnedTile{"turnedRowsF32", v, "a*b", fma, 4, 64}.generate()
		turnedTile{"turnedBF16", v, pairs, bf16, 64, 4}.generate()
	}
	turnLines()
}

// turnedTile is eight outputs by some vectors of rows, for blocks of 16 outputs.
type turnedTile struct {
	name         string
	vectors      int
	doc          string
	mac          func(a, b, acc reg.VecPhysical)
	unit, output int // bytes from one to the next in a block
}

func (t turnedTile) acc(output, v int) reg.VecPhysical { return zmms[8+v*panel+output] }

func (t turnedTile) generate() {
	name := fmt.Sprintf("%sZ%d", t.name, t.vectors)
	TEXT(name, NOSPLIT, "func(k, segs int, seg *uint32, a *byte, b, c, from, to *uint32, step, copies int, walk *uintptr)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s is a turnedFunc of %d vectors, where dot is %s,", name, t.vectors, t.doc),
		fmt.Sprintf("a unit of a block is %d bytes from the next, and an output %d.", t.unit, t.output))
	seg, segs, a, next, b, at, left := reg.RBX, reg.RCX, reg.RSI, reg.R13, reg.RDI, reg.R8, reg.RAX
	from, to, step, copies := reg.RDX, reg.R9, reg.R10, reg.R11
	w := walk{state: reg.R12, at: reg.R14, left: reg.R15}
	for _, p := range []struct {
		name string
		reg  reg.Register
	}{{"b", b}, {"walk", w.state}, {"from", from}, {"to", to}, {"step", step}, {"copies", copies}} {
		Load(Param(p.name), p.reg)
	}
	w.begin()
	for half := range 2 {
		label := func(name string) string { return fmt.Sprint(name, half) }
		for i := range panel * t.vectors {
			VPXORD(t.acc(i, 0), t.acc(i, 0), t.acc(i, 0))
		}
		Load(Param("segs"), segs)
		Load(Param("seg"), seg)
		TESTQ(segs, segs)
		JZ(LabelRef(label("store")))
		Label(label("segment"))
		MOVL(Mem{Base: seg}, at.As32())
		IMUL3Q(U32(uint32(64*t.vectors)), at, at)
		ADDQ(b, at)
		Load(Param("a"), a)
		MOVQ(a, next)
		MOVL(Mem{Base: seg, Disp: 4}, left.As32())
		ADDQ(left, a)
		MOVL(Mem{Base: seg, Disp: 12}, left.As32())
		ADDQ(left, next)
		ADDQ(U8(8), seg)
		Load(Param("k"), left)
		Label(label("unit"))
		for v := range t.vectors {
			VMOVUPS(Mem{Base: at, Disp: 64 * v}, zmms[1+v])
		}
		for o := range panel {
			VBROADCASTSS(Mem{Base: a, Disp: t.output * (half*panel + o)}, zmms[0])
			for v := range t.vectors {
				t.mac(zmms[1+v], zmms[0], t.acc(o, v))
			}
		}
		if half == 0 {
			PREFETCHT0(Mem{Base: next})
			ADDQ(U8(64), next)
		}
		w.fetch(label("fetched"))
		TESTQ(copies, copies)
		JZ(LabelRef(label("copied")))
		VMOVUPS(Mem{Base: from}, zmms[4])
		VMOVUPS(zmms[4], Mem{Base: to})
		PREFETCHT1(Mem{Base: to, Disp: 64})
		ADDQ(U8(64), from)
		ADDQ(step, to)
		DECQ(copies)
		Label(label("copied"))
		ADDQ(U8(uint8(t.unit)), a)
		ADDQ(U32(uint32(64*t.vectors)), at)
		DECQ(left)
		JNZ(LabelRef(label("unit")))
		DECQ(segs)
		JNZ(LabelRef(label("segment")))
		Label(label("store"))
		t.store(half)
	}
	w.end()
	VZEROUPPER()
	RET()
}

// store transposes and stores the sums of eight outputs, 16 rows at a time.
func (t turnedTile) store(half int) {
	c := reg.RAX
	Load(Param("c"), c)
	quads := [2]reg.VecPhysical{reg.Z0, reg.Z1}
	for i, q := range quads {
		VMOVUPS(NewDataAddr(NewStaticSymbol("quads"), 64*i), q)
	}
	for v := range t.vectors {
		t.storeVector(v, Mem{Base: c, Disp: 4*panel*half + 1024*v}, quads)
	}
}

// storeVector transposes eight outputs of 16 rows: pairs of outputs, then fours, then
// eights; a 128-bit lane holds four outputs of a row before the last step.
func (t turnedTile) storeVector(v int, c Mem, quads [2]reg.VecPhysical) {
	x, y := make([]reg.VecPhysical, panel), []int{2, 3, 4, 5, 6, 7}
	spare := func(i int) reg.VecPhysical { return zmms[y[i]] }
	for i := range x {
		x[i] = t.acc(i, v)
	}
	fours := [2][4]reg.VecPhysical{}
	for half := range 2 {
		r := x[4*half : 4*half+4]
		lo, hi := spare(0), spare(1)
		VUNPCKLPS(r[1], r[0], lo)
		VUNPCKHPS(r[1], r[0], hi)
		VUNPCKLPS(r[3], r[2], r[0])
		VUNPCKHPS(r[3], r[2], r[1])
		VUNPCKLPD(r[0], lo, r[2])
		VUNPCKHPD(r[0], lo, r[3])
		VUNPCKLPD(r[1], hi, r[0])
		VUNPCKHPD(r[1], hi, r[1])
		fours[half] = [4]reg.VecPhysical{r[2], r[3], r[0], r[1]}
	}
	// Row 4l+j has its outputs in lane l of fours[0][j] and fours[1][j].
	for pair := range 2 {
		for j := range 4 {
			VMOVAPS(quads[pair], spare(j))
			VPERMI2PD(fours[1][j], fours[0][j], spare(j))
		}
		for l := range 2 {
			for j := range 4 {
				m := c.Offset(64 * (8*pair + 4*l + j))
				if l == 0 {
					VMOVUPS(ymms[y[j]], m)
				} else {
					VEXTRACTF64X4(U8(1), spare(j), m)
				}
			}
		}
	}
}

// turnLines generates the transposition of lines.
func turnLines() {
	TEXT("turnLines", NOSPLIT, "func(dst *uint32, stride int, src *byte, ld, n int)")
	Pragma("noescape")
	Doc("turnLines transposes 16 rows of n lines:", "",
		"\tfor u := range 16 * n {", "\t\tfor r := range 16 {", "\t\t\tdst[u*stride/4+r] = src[r*ld/4+u]", "\t\t}", "\t}")
	dst, stride, src, ld, ld3, left, at := reg.RDI, reg.R8, reg.RSI, reg.R9, reg.R10, reg.RCX, reg.RAX
	Load(Param("dst"), dst)
	Load(Param("stride"), stride)
	Load(Param("src"), src)
	Load(Param("ld"), ld)
	Load(Param("n"), left)
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	Label("line")
	MOVQ(src, at)
	for r := range 16 {
		m := []Mem{{Base: at}, {Base: at, Index: ld, Scale: 1}, {Base: at, Index: ld, Scale: 2}, {Base: at, Index: ld3, Scale: 1}}[r%4]
		VMOVUPS(m, zmms[r])
		if r%4 == 3 {
			LEAQ(Mem{Base: at, Index: ld, Scale: 4}, at)
		}
	}
	z := func(i int) reg.VecPhysical { return zmms[i] }
	for i := 0; i < 16; i += 2 {
		VUNPCKLPS(z(i+1), z(i), z(16+i))
		VUNPCKHPS(z(i+1), z(i), z(17+i))
	}
	for i := 0; i < 16; i += 4 { // row 4l+j of four columns in lane l of z(i+j)
		VUNPCKLPD(z(18+i), z(16+i), z(i))
		VUNPCKHPD(z(18+i), z(16+i), z(i+1))
		VUNPCKLPD(z(19+i), z(17+i), z(i+2))
		VUNPCKHPD(z(19+i), z(17+i), z(i+3))
	}
	for j := range 4 {
		VSHUFF32X4(U8(0x44), z(4+j), z(j), z(16+j))
		VSHUFF32X4(U8(0xee), z(4+j), z(j), z(20+j))
		VSHUFF32X4(U8(0x44), z(12+j), z(8+j), z(24+j))
		VSHUFF32X4(U8(0xee), z(12+j), z(8+j), z(28+j))
	}
	for half := range 2 {
		for l := range 2 {
			for j := range 4 {
				VSHUFF32X4(U8([]uint8{0x88, 0xdd}[l]), z(24+4*half+j), z(16+4*half+j), z(j))
				VMOVUPS(z(j), Mem{Base: dst})
				ADDQ(stride, dst)
			}
		}
	}
	ADDQ(U8(64), src)
	DECQ(left)
	JNZ(LabelRef("line"))
	VZEROUPPER()
	RET()
}
