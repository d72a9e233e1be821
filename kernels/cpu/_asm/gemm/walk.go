package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// walk holds the registers of a walk along cache lines to fetch (see walk in
// kernels/cpu/gemm): its state in memory, the next line, and how many lines are left in
// the row.
type walk struct {
	state, at, left reg.GPPhysical
}

// field returns a field of the state.
func (w walk) field(i int) Mem { return Mem{Base: w.state, Disp: 8 * i} }

// begin loads the state.
func (w walk) begin() {
	MOVQ(w.field(0), w.at)
	MOVQ(w.field(1), w.left)
}

// fetch asks for the next line and moves on. The label must be new.
func (w walk) fetch(label string) {
	PREFETCHT1(Mem{Base: w.at})
	ADDQ(U8(64), w.at)
	DECQ(w.left)
	JNZ(LabelRef(label))
	ADDQ(w.field(3), w.at)
	MOVQ(w.field(2), w.left)
	Label(label)
}

// end stores the state.
func (w walk) end() {
	MOVQ(w.at, w.field(0))
	MOVQ(w.left, w.field(1))
}
