package peak

import "math"

// loops returns the loops that this CPU can run, by type, slowest first.
func loops() []loop {
	list := []loop{{"float32", "go", 2 * goSums, fmaGo}}
	list = append(list, asmLoops("float32")...)
	list = append(list, asmLoops("bfloat16")...)
	list = append(list, loop{"int8", "go", 2 * goInts, intGo})
	return append(list, asmLoops("int8")...)
}

// goSums is the number of independent sums of the portable loops: as many as
// registers hold beside the operands, to hide the latency.
const goSums = 12

// fmaGo does goSums multiply-adds an iteration; where the architecture has one,
// the compiler fuses each to a single instruction.
func fmaGo(n int) {
	x, y := float32(0x1p-20), float32(0.5)
	s0, s1, s2, s3, s4, s5 := x+1, x+2, x+3, x+4, x+5, x+6
	s6, s7, s8, s9, s10, s11 := x+7, x+8, x+9, x+10, x+11, x+12
	for range n {
		s0 = s0*y + x
		s1 = s1*y + x
		s2 = s2*y + x
		s3 = s3*y + x
		s4 = s4*y + x
		s5 = s5*y + x
		s6 = s6*y + x
		s7 = s7*y + x
		s8 = s8*y + x
		s9 = s9*y + x
		s10 = s10*y + x
		s11 = s11*y + x
	}
	keep(uint64(math.Float32bits(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11)))
}

// goInts is goSums for the general registers, which are fewer.
const goInts = 8

// intGo is fmaGo for int32, to which the portable kernels widen int8.
func intGo(n int) {
	x, y := int32(n), int32(n|1)
	s0, s1, s2, s3, s4, s5, s6, s7 := x+1, x+2, x+3, x+4, x+5, x+6, x+7, x+8
	for range n {
		s0 = s0*y + x
		s1 = s1*y + x
		s2 = s2*y + x
		s3 = s3*y + x
		s4 = s4*y + x
		s5 = s5*y + x
		s6 = s6*y + x
		s7 = s7*y + x
	}
	keep(uint64(s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6 ^ s7))
}

// keep makes the compiler compute a result that nobody needs.
//
//go:noinline
func keep(uint64) {}
