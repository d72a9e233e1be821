package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set with its vector length.
type isa struct {
	suffix string
	lanes  int
	vector func() reg.VecVirtual
}

var (
	avx2   = isa{"AVX2", 8, YMM}
	avx512 = isa{"AVX512", 16, ZMM}
	target isa
)

func wide() bool { return target.lanes == 16 }

// vec is a new vector register.
func vec() reg.VecVirtual { return target.vector() }

// function starts a function named for the target; doc is the Go loop that it equals.
func function(name, signature, doc string) {
	TEXT(name+target.suffix, NOSPLIT, signature)
	Doc(name + target.suffix + " is " + doc + ".")
}

// base is the address in a slice parameter.
func base(name string) reg.Register { return Load(Param(name).Base(), GP64()) }

// scalar is a float32 parameter in every lane.
func scalar(name string) reg.VecVirtual {
	x := XMM()
	Load(Param(name), x)
	v := vec()
	VBROADCASTSS(x, v)
	return v
}

var globals = map[string]Mem{}

// global is a table of 32-bit words in memory, defined once.
func global(name string, table ...uint32) Mem {
	m, ok := globals[name]
	if !ok {
		m = GLOBL(name+target.suffix, RODATA|NOPTR)
		for i, w := range table {
			DATA(4*i, U32(w))
		}
		globals[name] = m
	}
	return m
}

// words is a constant of one bit pattern in every lane, in memory. AVX-512 has it there once, for instructions that broadcast it: the linker aligns tables to 32 bytes, so that one of 64
// may lie across two lines, which made loops with many constants a tenth slower in one build than in another.
func words(bits uint32) Mem {
	table := make([]uint32, 8)
	if wide() {
		table = table[:1]
	}
	for i := range table {
		table[i] = bits
	}
	return global(fmt.Sprintf("c%08x", bits), table...)
}

// constant is a float32 in every lane, in memory.
func constant(x float64) Mem { return words(math.Float32bits(float32(x))) }

// register loads a constant.
func register(m Mem) reg.VecVirtual {
	v := vec()
	if wide() {
		VBROADCASTSS(m, v)
	} else {
		VMOVUPS(m, v)
	}
	return v
}

// instruction has a form whose first operand is a word of memory for all lanes.
type instruction struct{ plain, broadcast func(...Op) }

var (
	add             = instruction{VADDPS, VADDPS_BCST}
	subtract        = instruction{VSUBPS, VSUBPS_BCST}
	multiply        = instruction{VMULPS, VMULPS_BCST}
	divide          = instruction{VDIVPS, VDIVPS_BCST}
	addTo           = instruction{VFMADD213PS, VFMADD213PS_BCST}   // d = d*b + a
	addProductTo    = instruction{VFMADD231PS, VFMADD231PS_BCST}   // d += b*a
	subtractProduct = instruction{VFNMADD231PS, VFNMADD231PS_BCST} // d -= b*a
	addIntegers     = instruction{VPADDD, VPADDD_BCST}
)

// of picks the form for a first operand that may be a constant; the others are registers.
func (i instruction) of(a Op, others ...Op) {
	form := i.plain
	if m, ok := a.(Mem); ok && wide() && m.Symbol.Name != "" {
		form = i.broadcast
	}
	form(append([]Op{a}, others...)...)
}

// zero is a register of zeros. It is loaded, since avo takes VPXORD of a register with itself for a use of its old value.
func zero() reg.VecVirtual { return register(words(0)) }

// and is the bitwise and.
func and(a, b, dst Op) {
	if wide() {
		instruction{VPANDD, VPANDD_BCST}.of(a, b, dst)
	} else {
		VPAND(a, b, dst)
	}
}

// or is the bitwise or.
func or(a, b, dst Op) {
	if wide() {
		instruction{VPORD, VPORD_BCST}.of(a, b, dst)
	} else {
		VPOR(a, b, dst)
	}
}

// The arithmetic, into a new register. The first operand is a register.
func plus(a, b Op) reg.VecVirtual  { return into(add, a, b) }
func minus(a, b Op) reg.VecVirtual { return into(subtract, a, b) }
func times(a, b Op) reg.VecVirtual { return into(multiply, a, b) }
func over(a, b Op) reg.VecVirtual  { return into(divide, a, b) }

func into(op instruction, a, b Op) reg.VecVirtual {
	d := vec()
	op.of(b, a, d)
	return d
}

// addProduct adds a*b to a register; b may be in memory.
func addProduct(sum, a, b Op) { addProductTo.of(b, a, sum) }

// copyOf is a new register with the same value.
func copyOf(v Op) reg.VecVirtual {
	d := vec()
	VMOVAPS(v, d)
	return d
}

// end returns from a function.
func end() {
	VZEROUPPER()
	RET()
}
