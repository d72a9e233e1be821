package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

// masked generates the tiles of the 2:4 weight gradient. A 128-bit lane of B holds
// a group of four columns, of which two rows of A together keep four: one
// permutation within lanes selects them, and one multiply-add serves both rows. So
// it takes half the dense tile's multiply-adds, with a permutation for each. On
// Zen 4 both share three pipes, of which each takes one for two cycles: 1.33 cycles
// for what takes the dense tile 2. A broadcast would take such a pipe as well, but
// permutations that are part of the instruction mostly find another. So four rows of
// A are spread over a whole vector in advance, and their pairs picked from it.
func masked() {
	spreadRows()
	GLOBL("keptshifts", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i/4*4+i%4/2*2)))
	}
	GLOBL("deal", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(uint32(i%8*2+i/8)))
	}
	for v := 1; v <= 3; v++ {
		maskedTile{"F32", v, "a*b", func(a, b, acc reg.VecPhysical) { VFMADD231PS(b, a, acc) }}.generate()
		maskedTile{"BF16", v, pairs, func(a, b, acc reg.VecPhysical) { evex.VDPBF16PS(b, a, acc) }}.generate()
	}
}

// maskedTile has four pairs of rows by some vectors.
type maskedTile struct {
	name    string
	vectors int
	doc     string // the product of two units, as Go
	mac     func(a, b, acc reg.VecPhysical)
}

// Registers: vectors of B, a pair's units of A, selected units, then sums and
// selections.
const (
	mA, mPair    = 3, 4
	mSelected    = 6
	mSums, mKept = 8, 20
)

// spreadRows generates the spreading of a packed panel of A.
func spreadRows() {
	TEXT("spreadRows", NOSPLIT, "func(dst, a *uint32, k int)")
	Pragma("noescape")
	Doc("spreadRows is", "",
		fmt.Sprintf("\tfor i := range %d * k { dst[i] = a[i/16*4+i%%4] }", 4*panel))
	dst, a, left := reg.RDI, reg.RSI, reg.RCX
	Load(Param("dst"), dst)
	Load(Param("a"), a)
	Load(Param("k"), left)
	Label("unit")
	for i := range panel / 4 {
		VBROADCASTF32X4(Mem{Base: a, Disp: 16 * i}, zmms[i])
		VMOVUPS(zmms[i], Mem{Base: dst, Disp: 64 * i})
	}
	ADDQ(U8(4*panel), a)
	ADDQ(U32(16*panel), dst)
	DECQ(left)
	JNZ(LabelRef("unit"))
	VZEROUPPER()
	RET()
}

func (t maskedTile) sumRegister(p, v int) int      { return mSums + p*t.vectors + v }
func (t maskedTile) sum(p, v int) reg.VecPhysical  { return zmms[t.sumRegister(p, v)] }
func (t maskedTile) kept(p, v int) reg.VecPhysical { return zmms[mKept+p*t.vectors+v] }

func (t maskedTile) generate() {
	name, width := fmt.Sprintf("masked%sZ%d", t.name, t.vectors), 16*t.vectors
	TEXT(name, NOSPLIT, "func(k int, a, b *uint32, meta *byte, stride int, values *float32, ldv, rows, cols int)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s is a maskedFunc for cols <= %d, where dot is %s.", name, width, t.doc),
	)
	left, a, b := reg.RCX, reg.RSI, reg.RDI
	Load(Param("k"), left)
	Load(Param("a"), a)
	Load(Param("b"), b)
	t.selections()
	t.each(func(p, v int) { VPXORD(t.sum(p, v), t.sum(p, v), t.sum(p, v)) })
	TESTQ(left, left)
	JZ(LabelRef("end"))
	Label("unit")
	for v := range t.vectors {
		VMOVUPS(Mem{Base: b, Disp: 64 * v}, zmms[v])
		PREFETCHT0(Mem{Base: b, Disp: 64*v + 3072})
	}
	t.each(func(p, v int) {
		if v == 0 && p%2 == 0 {
			VMOVUPS(Mem{Base: a, Disp: 32 * p}, zmms[mA])
		}
		if v == 0 {
			VPERMILPS(U8([]uint8{0x44, 0xee}[p%2]), zmms[mA], zmms[mPair+p%2])
		}
		selected := zmms[mSelected+(p*t.vectors+v)%(mSums-mSelected)]
		VPERMILPS(t.kept(p, v), zmms[v], selected)
		t.mac(zmms[mPair+p%2], selected, t.sum(p, v))
	})
	ADDQ(U32(16*panel), a)
	ADDQ(U32(uint32(4*width)), b)
	DECQ(left)
	JNZ(LabelRef("unit"))
	Label("end")
	t.store()
	Label("done")
	VZEROUPPER()
	RET()
}

// each passes the pairs of rows and the vectors.
func (t maskedTile) each(f func(p, v int)) {
	for p := range panel / 2 {
		for v := range t.vectors {
			f(p, v)
		}
	}
}

// selections makes the controls of the permutations from the metadata: 16 bits of
// the first row of a pair in even lanes, of the second in odd ones, shifted to what
// the lane selects. A permutation looks at the two lowest bits only.
func (t maskedTile) selections() {
	meta, stride, first, second := reg.RAX, reg.RBX, reg.R8, reg.R9
	Load(Param("meta"), meta)
	Load(Param("stride"), stride)
	VMOVUPS(table("keptshifts"), reg.Z0)
	t.each(func(p, v int) {
		MOVWLZX(Mem{Base: meta, Disp: 2 * v}, first.As32())
		MOVWLZX(Mem{Base: meta, Index: stride, Scale: 1, Disp: 2 * v}, second.As32())
		SHLQ(U8(32), second)
		ORQ(second, first)
		VPBROADCASTQ(first, t.kept(p, v))
		VPSRLVD(reg.Z0, t.kept(p, v), t.kept(p, v))
		if v == t.vectors-1 {
			LEAQ(Mem{Base: meta, Index: stride, Scale: 2}, meta)
		}
	})
}

// store deals the sums of each pair to its two rows and adds them to those that
// exist, the last vector masked.
func (t maskedTile) store() {
	values, ldv, rows, cols, tmp := reg.RDX, reg.R9, reg.R10, reg.R12, reg.R11
	Load(Param("values"), values)
	Load(Param("ldv"), ldv)
	SHLQ(U8(2), ldv)
	Load(Param("rows"), rows)
	Load(Param("cols"), cols)
	SHRQ(U8(1), cols)
	SUBQ(U8(uint8(8*(t.vectors-1))), cols)
	MOVQ(I32(-1), tmp)
	BZHIQ(cols, tmp, tmp)
	KMOVW(tmp.As32(), reg.K1)
	VMOVUPS(table("deal"), reg.Z0)
	for r := range panel {
		for v := range t.vectors {
			half := ymms[1]
			if r%2 == 0 {
				VPERMPS(t.sum(r/2, v), reg.Z0, t.sum(r/2, v))
				half = ymms[t.sumRegister(r/2, v)]
			} else {
				VEXTRACTF64X4(U8(1), t.sum(r/2, v), half)
			}
			addHalf(Mem{Base: values, Disp: 32 * v}, half, v == t.vectors-1)
		}
		if r+1 < panel {
			DECQ(rows)
			JZ(LabelRef("done"))
			ADDQ(ldv, values)
		}
	}
}

// addHalf adds eight sums to memory, or those that K1 selects. It leaves their
// register alone, whose upper half is still needed.
func addHalf(m Mem, sums reg.VecPhysical, some bool) {
	if some {
		VMOVUPS_Z(m, reg.K1, reg.Y2)
		VADDPS(reg.Y2, sums, reg.Y2)
		VMOVUPS(reg.Y2, reg.K1, m)
		return
	}
	VADDPS(m, sums, reg.Y2)
	VMOVUPS(reg.Y2, m)
}
