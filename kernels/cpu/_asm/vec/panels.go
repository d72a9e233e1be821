package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"ofpeak/kernels/cpu/_asm/evex"
)

const panelRows = 6

// panels generates the products of attention tiles: six rows of sums stay in registers while k runs. A row's factor is broadcast, so
// that both strides of a are free.
func panels() {
	const signature = "func(c *float32, ldc int, a *float32, ars, acs int, b *float32, ldb, n, k int, add bool)"
	const loop = "for i < 6, j < n { c[i*ldc+j] = Σ_{l<k} a[i*ars+l*acs] * b[l*ldb+j] }, or += with add; n is a multiple of 16"
	function("panel", signature, loop)
	columns(func(a, b, sum reg.VecPhysical) { VFMADD231PS(b, a, sum) })
	if wide() {
		function("panelBF16", signature, loop+"; an element of a or b is a pair of bfloat16, and a*b their dot product")
		columns(func(a, b, sum reg.VecPhysical) { evex.VDPBF16PS(b, a, sum) })
	}
}

// columns goes over the columns, each time with the widest block that leaves a rest for which there is a good one too.
func columns(mac func(a, b, sum reg.VecPhysical)) {
	p := loadPanel()
	p.mac = mac
	Label("next")
	if wide() {
		for _, choice := range []struct{ above, vectors int }{{111, 4}, {79, 3}, {63, 4}, {47, 3}, {31, 2}, {15, 1}} {
			CMPQ(p.n, Imm(uint64(choice.above)))
			JG(LabelRef(fmt.Sprintf("columns%d", choice.vectors*target.lanes)))
		}
		JMP(LabelRef("done"))
		for _, v := range []int{4, 3, 2, 1} {
			p.block(v)
		}
	} else {
		TESTQ(p.n, p.n)
		JZ(LabelRef("done"))
		p.block(2)
	}
	Label("done")
	end()
}

// panel holds the parameters; strides are in bytes.
type panel struct {
	c, ldc, a, ars, ars3, ars5, acs, b, ldb, n reg.GPVirtual
	mac                                        func(a, b, sum reg.VecPhysical)
}

func loadPanel() *panel {
	get := func(name string) reg.GPVirtual {
		r := GP64()
		Load(Param(name), r)
		return r
	}
	p := &panel{
		c: get("c"), ldc: get("ldc"), a: get("a"), ars: get("ars"), acs: get("acs"), b: get("b"), ldb: get("ldb"),
		n: get("n"), ars3: GP64(), ars5: GP64(),
	}
	for _, stride := range []reg.GPVirtual{p.ldc, p.ars, p.acs, p.ldb} {
		SHLQ(Imm(2), stride)
	}
	LEAQ(Mem{Base: p.ars, Index: p.ars, Scale: 2}, p.ars3)
	LEAQ(Mem{Base: p.ars, Index: p.ars, Scale: 4}, p.ars5)
	return p
}

// register number i of the target; the panels use no others, since the encoder of VDPBF16PS needs to know them.
func physical(i int) reg.VecPhysical {
	if wide() {
		return []reg.VecPhysical{
			reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14,
			reg.Z15, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28,
		}[i]
	}
	return []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14,
	}[i]
}

// block computes so many vectors of columns and goes on to the next ones. The sums come first, then a vector of b each, then the factor.
func (p *panel) block(vectors int) {
	width := vectors * target.lanes
	name := fmt.Sprintf("columns%d", width)
	sum := func(i, v int) reg.VecPhysical { return physical(i*vectors + v) }
	column := func(v int) reg.VecPhysical { return physical(panelRows*vectors + v) }
	factor := physical((panelRows + 1) * vectors)
	Label(name)
	for i := range panelRows * vectors {
		clearRegister(physical(i))
	}
	a, b, k := GP64(), GP64(), GP64()
	MOVQ(p.a, a)
	MOVQ(p.b, b)
	Load(Param("k"), k)
	Label(name + "sum")
	for v := range vectors {
		VMOVUPS(Mem{Base: b, Disp: 4 * v * target.lanes}, column(v))
	}
	for i := range panelRows {
		VBROADCASTSS(p.row(a, i), factor)
		for v := range vectors {
			p.mac(factor, column(v), sum(i, v))
		}
	}
	ADDQ(p.acs, a)
	ADDQ(p.ldb, b)
	DECQ(k)
	JNZ(LabelRef(name + "sum"))
	p.store(name, vectors, sum)
	ADDQ(U32(4*width), p.c)
	ADDQ(U32(4*width), p.b)
	SUBQ(Imm(uint64(width)), p.n)
	JMP(LabelRef("next"))
}

func clearRegister(v reg.VecPhysical) {
	if wide() {
		VPXORD(v, v, v)
	} else {
		VPXOR(v, v, v)
	}
}

// row is where the factor of row i is.
func (p *panel) row(a reg.Register, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: a}
	case 3:
		return Mem{Base: a, Index: p.ars3, Scale: 1}
	case 5:
		return Mem{Base: a, Index: p.ars5, Scale: 1}
	}
	return Mem{Base: a, Index: p.ars, Scale: uint8(i)}
}

func (p *panel) store(name string, vectors int, sum func(i, v int) reg.VecPhysical) {
	c, add := GP64(), GP8()
	MOVQ(p.c, c)
	Load(Param("add"), add)
	TESTB(add, add)
	JZ(LabelRef(name + "store"))
	for i := range panelRows {
		for v := range vectors {
			VADDPS(Mem{Base: c, Disp: 4 * v * target.lanes}, sum(i, v), sum(i, v))
		}
		ADDQ(p.ldc, c)
	}
	MOVQ(p.c, c)
	Label(name + "store")
	for i := range panelRows {
		for v := range vectors {
			VMOVUPS(sum(i, v), Mem{Base: c, Disp: 4 * v * target.lanes})
		}
		ADDQ(p.ldc, c)
	}
}
