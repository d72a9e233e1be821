package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const panelRows = 6

// panels generates the product of attention tiles: six rows of sums stay in registers while k runs. A row's factor is broadcast, so
// that both strides of a are free.
func panels() {
	function("panel", "func(c *float32, ldc int, a *float32, ars, acs int, b *float32, ldb, n, k int, add bool)",
		"for i < 6, j < n { c[i*ldc+j] = Σ_{l<k} a[i*ars+l*acs] * b[l*ldb+j] }, or += with add; n is a multiple of 16")
	p := loadPanel()
	// The widest block of columns that leaves a rest for which there is a good one too.
	if wide() {
		Label("next")
		for _, choice := range []struct{ above, vectors int }{{111, 4}, {79, 3}, {63, 4}, {47, 3}, {31, 2}, {15, 1}} {
			CMPQ(p.n, Imm(uint64(choice.above)))
			JG(LabelRef(fmt.Sprintf("columns%d", choice.vectors*target.lanes)))
		}
		JMP(LabelRef("done"))
		for _, v := range []int{4, 3, 2, 1} {
			p.columns(v)
		}
	} else {
		Label("next")
		TESTQ(p.n, p.n)
		JZ(LabelRef("done"))
		p.columns(2)
	}
	Label("done")
	end()
}

// panel holds the parameters; strides are in bytes.
type panel struct {
	c, ldc, a, ars, ars3, ars5, acs, b, ldb, n, k reg.GPVirtual
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

// columns computes so many vectors of columns and goes on to the next ones.
func (p *panel) columns(vectors int) {
	width := vectors * target.lanes
	name := fmt.Sprintf("columns%d", width)
	Label(name)
	var acc [panelRows][]reg.VecVirtual
	for i, all := 0, accumulators(panelRows*vectors, zero); i < panelRows; i++ {
		acc[i] = all[i*vectors:][:vectors]
	}
	a, b, k := GP64(), GP64(), GP64()
	MOVQ(p.a, a)
	MOVQ(p.b, b)
	Load(Param("k"), k)
	Label(name + "sum")
	bs := make([]reg.VecVirtual, vectors)
	for v := range bs {
		bs[v] = vec()
		VMOVUPS(Mem{Base: b, Disp: 4 * v * target.lanes}, bs[v])
	}
	for i := range acc {
		factor := vec()
		VBROADCASTSS(p.row(a, i), factor)
		for v := range bs {
			addProduct(acc[i][v], factor, bs[v])
		}
	}
	ADDQ(p.acs, a)
	ADDQ(p.ldb, b)
	DECQ(k)
	JNZ(LabelRef(name + "sum"))
	p.store(name, acc)
	ADDQ(U32(4*width), p.c)
	ADDQ(U32(4*width), p.b)
	SUBQ(Imm(uint64(width)), p.n)
	JMP(LabelRef("next"))
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

func (p *panel) store(name string, acc [panelRows][]reg.VecVirtual) {
	c, add := GP64(), GP8()
	MOVQ(p.c, c)
	Load(Param("add"), add)
	TESTB(add, add)
	JZ(LabelRef(name + "store"))
	for i := range acc {
		for v := range acc[i] {
			VADDPS(Mem{Base: c, Disp: 4 * v * target.lanes}, acc[i][v], acc[i][v])
		}
		ADDQ(p.ldc, c)
	}
	MOVQ(p.c, c)
	Label(name + "store")
	for i := range acc {
		for v := range acc[i] {
			VMOVUPS(acc[i][v], Mem{Base: c, Disp: 4 * v * target.lanes})
		}
		ADDQ(p.ldc, c)
	}
}
