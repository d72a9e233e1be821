// Package ptx reads the text of NVIDIA's parallel thread execution language (PTX ISA 7.8 and before) as NVRTC and clang write it for kernels:
// one module of variables and entry functions, with device functions inlined. It knows the grammar, not the opcodes.
//
// It is not a compiler: what it returns is the text's own instructions, in order, each with its line.
package ptx

// Module is one PTX text.
type Module struct {
	Version, Target string
	Vars            []Var // of the global, const and shared spaces
	Kernels         []*Kernel
}

// Kernel is one entry function.
type Kernel struct {
	Name       string
	Line       int
	Params     []Param
	MaxThreads int // of a block; 0 where the text does not say
	Vars       []Var
	Regs       map[string]Type
	Body       []Instr
	Labels     map[string]int // index in Body of the instruction behind the label
}

// Param is a kernel parameter.
type Param struct {
	Name string
	Type Type
}

// Var is a variable of a state space.
type Var struct {
	Space   string // "global", "const", "shared" or "local"
	Name    string
	Align   int
	Size    int
	Dynamic bool // an extern array whose size comes with the launch
	Init    []byte
	Line    int
}

// Instr is one instruction, such as "@!%p1 ld.global.v2.f32 {%f1, %f2}, [%rd1+8];".
type Instr struct {
	Line     int
	Guard    string // predicate register, or ""
	GuardNot bool
	Op       string   // "ld"
	Mods     []string // "global", "v2", "f32"
	Args     []Operand
}

// Kind tells operands apart.
type Kind uint8

const (
	Reg     Kind = iota // a register or special register
	Int                 // an integer constant
	Float32             // a constant given by the bits of a float32
	Float64             // a constant given by the bits of a float64
	Symbol              // a variable's address, a label or a parameter
	Mem                 // [base+offset]: Sub[0] is the base
	Vector              // {a, b, ...}
	Pair                // a|b, two destinations
	Sink                // _, a destination that is dropped
)

// Operand is one operand of an instruction.
type Operand struct {
	Kind Kind
	Name string // Reg, Symbol
	Not  bool   // a negated predicate
	Bits uint64 // Int, Float32, Float64
	Off  int64  // Mem, Symbol
	Sub  []Operand
}

// Type is a fundamental type such as "f32".
type Type string

// Size is the type's size in bytes, 0 for predicates and for what is no type.
func (t Type) Size() int {
	switch t {
	case "b8", "s8", "u8":
		return 1
	case "b16", "s16", "u16", "f16", "bf16":
		return 2
	case "b32", "s32", "u32", "f32", "f16x2", "bf16x2", "tf32":
		return 4
	case "b64", "s64", "u64", "f64":
		return 8
	case "b128":
		return 16
	}
	return 0
}

// IsType tells whether a modifier is a type.
func IsType(mod string) bool { return mod == "pred" || Type(mod).Size() > 0 }

// Signed tells whether the type is a signed integer.
func (t Type) Signed() bool { return t[0] == 's' }

// IsFloat tells whether the type is a floating-point number.
func (t Type) IsFloat() bool {
	switch t {
	case "f16", "bf16", "f16x2", "bf16x2", "tf32", "f32", "f64":
		return true
	}
	return false
}
