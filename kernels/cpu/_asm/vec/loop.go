package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// at is a place in a loop over slices: a vector of elements, or the last, partial one.
type at struct {
	index reg.Register
	disp  int // elements after index
	lane  int // number in an unrolled body
	part  bool
	mask  reg.Register // of a partial vector: a K register, or set lanes of a vector
}

// loop runs body for every vector of n elements: unroll at a time, then one at a time, then once for the rest.
func loop(n reg.Register, unroll int, body func(at)) { namedLoop("", n, unroll, body) }

// namedLoop is loop with labels of its own, for functions that have several.
func namedLoop(name string, n reg.Register, unroll int, body func(at)) {
	index, left := GP64(), GP64()
	XORQ(index, index)
	MOVQ(n, left)
	stage := func(label string, count int) {
		Label(label)
		CMPQ(left, Imm(uint64(count*target.lanes)))
		JL(LabelRef(label + "end"))
		for u := range count {
			body(at{index: index, disp: u * target.lanes, lane: u})
		}
		ADDQ(Imm(uint64(count*target.lanes)), index)
		SUBQ(Imm(uint64(count*target.lanes)), left)
		JMP(LabelRef(label))
		Label(label + "end")
	}
	if unroll > 1 {
		stage(name+"block", unroll)
	}
	stage(name+"vector", 1)
	TESTQ(left, left)
	JZ(LabelRef(name + "done"))
	body(at{index: index, part: true, mask: mask(left)})
	Label(name + "done")
}

// length loads the length of a slice parameter.
func length(name string) reg.Register { return Load(Param(name).Len(), GP64()) }

// mask selects the first lanes, fewer than all. It spends lanes.
func mask(lanes reg.Register) reg.Register {
	table := GP64()
	if wide() {
		bits := make([]uint32, 16)
		for i := range bits {
			bits[i] = 1<<i - 1
		}
		LEAQ(global("masks", bits...), table)
		k := K()
		KMOVW(Mem{Base: table, Index: lanes, Scale: 4}, k)
		return k
	}
	set := uint32(0xffffffff)
	LEAQ(global("masks", set, set, set, set, set, set, set, set, 0, 0, 0, 0, 0, 0, 0, 0).Offset(32), table)
	NEGQ(lanes)
	v := YMM()
	VMOVDQU(Mem{Base: table, Index: lanes, Scale: 4}, v)
	return v
}

func (a at) mem(p reg.Register) Mem { return Mem{Base: p, Index: a.index, Scale: 4, Disp: 4 * a.disp} }

// load reads a vector; the lanes past the end are zero.
func (a at) load(p reg.Register) reg.VecVirtual {
	v := vec()
	switch {
	case !a.part:
		VMOVUPS(a.mem(p), v)
	case wide():
		VMOVUPS_Z(a.mem(p), a.mask, v)
	default:
		VMASKMOVPS(a.mem(p), a.mask, v)
	}
	return v
}

// store writes a vector, but not past the end.
func (a at) store(v reg.Register, p reg.Register) {
	switch {
	case !a.part:
		VMOVUPS(v, a.mem(p))
	case wide():
		VMOVUPS(v, a.mask, a.mem(p))
	default:
		VMASKMOVPS(v, a.mask, a.mem(p))
	}
}

// fill gives v with the lanes past the end taken from other.
func (a at) fill(v, other reg.Register) reg.Register {
	if !a.part {
		return v
	}
	d := vec()
	if wide() {
		VBLENDMPS(v, other, a.mask, d)
	} else {
		VBLENDVPS(a.mask, v, other, d)
	}
	return d
}

// clear gives v with zero in the lanes past the end.
func (a at) clear(v reg.Register) reg.Register {
	if !a.part {
		return v
	}
	d := vec()
	if wide() {
		VMOVAPS_Z(v, a.mask, d)
	} else {
		VANDPS(a.mask, v, d)
	}
	return d
}

// accumulators are n registers of one start value, so that additions do not wait for each other.
func accumulators(n int, start func() reg.VecVirtual) []reg.VecVirtual {
	all := []reg.VecVirtual{start()}
	for len(all) < n {
		all = append(all, copyOf(all[0]))
	}
	return all
}

// reduce combines all lanes of all accumulators into the low lane of a register.
func reduce(op func(...Op), acc []reg.VecVirtual) reg.Register {
	for n := len(acc); n > 1; n = (n + 1) / 2 {
		for i := range n / 2 {
			op(acc[n-1-i], acc[i], acc[i])
		}
	}
	v := acc[0]
	if wide() {
		half := YMM()
		VEXTRACTF64X4(Imm(1), v, half)
		op(half, v.AsY(), half)
		v = half
	}
	x, y := XMM(), XMM()
	VEXTRACTF128(Imm(1), v.AsY(), x)
	op(x, v.AsX(), x)
	VPSHUFD(Imm(0x4e), x, y)
	op(y, x, x)
	VPSHUFD(Imm(0xb1), x, y)
	op(y, x, x)
	return x
}

// result returns the low lane of a register.
func result(i int, x reg.Register) { Store(x, ReturnIndex(i)) }
