// Package gemm multiplies matrices at the speed of the CPU's multipliers:
// float32, bfloat16 and float16 with float32 sums, int8 with int32 sums, and
// weights that are 2:4 or block sparse.
//
// The method is Goto and van de Geijn's (Anatomy of High-Performance Matrix
// Multiplication, ACM TOMS 34:3, 2008) as refined in BLIS: operands are packed
// into panels in the order in which a register tile reads them, and blocks are
// sized so that a panel of A stays in L1 and a block of B in L2. It is not a
// BLAS: there is no alpha, and matrices are row-major only.
package gemm

import "unsafe"

// Type is an element type.
type Type uint8

const (
	F32  Type = iota // float32
	BF16             // bfloat16 in a uint16
	F16              // IEEE binary16 in a uint16
	I8               // int8
	I32              // int32, for the sums of int8 products only
)

var typeNames = [...]string{"float32", "bfloat16", "float16", "int8", "int32"}

// String returns the type's name.
func (t Type) String() string { return typeNames[t] }

// Size returns the bytes of an element.
func (t Type) Size() int { return [...]int{4, 2, 2, 1, 4}[t] }

// Matrix is a row-major matrix whose element (i, j) is at i*stride+j, or with T
// the transpose of one. It holds no copy: the slice stays the caller's.
type Matrix struct {
	typ    Type
	base   unsafe.Pointer
	len    int
	stride int
	trans  bool
}

// NewF32 views a slice as a matrix with the given row stride, in elements.
func NewF32(data []float32, stride int) Matrix {
	return Matrix{typ: F32, base: unsafe.Pointer(unsafe.SliceData(data)), len: len(data), stride: stride}
}

// NewBF16 views bfloat16 values as a matrix.
func NewBF16(data []uint16, stride int) Matrix {
	return Matrix{typ: BF16, base: unsafe.Pointer(unsafe.SliceData(data)), len: len(data), stride: stride}
}

// NewF16 views float16 values as a matrix.
func NewF16(data []uint16, stride int) Matrix {
	return Matrix{typ: F16, base: unsafe.Pointer(unsafe.SliceData(data)), len: len(data), stride: stride}
}

// NewI8 views int8 values as a matrix.
func NewI8(data []int8, stride int) Matrix {
	return Matrix{typ: I8, base: unsafe.Pointer(unsafe.SliceData(data)), len: len(data), stride: stride}
}

// NewI32 views int32 values as a matrix.
func NewI32(data []int32, stride int) Matrix {
	return Matrix{typ: I32, base: unsafe.Pointer(unsafe.SliceData(data)), len: len(data), stride: stride}
}

// T returns the transpose, which shares the elements.
func (m Matrix) T() Matrix {
	m.trans = !m.trans
	return m
}

// Type returns the element type.
func (m Matrix) Type() Type { return m.typ }

// at returns the address of the element at row i, column j of the storage.
func (m *Matrix) at(i, j int) unsafe.Pointer {
	return unsafe.Add(m.base, (i*m.stride+j)*m.typ.Size())
}

// float32s views n elements of a row of float32 storage.
func (m *Matrix) float32s(row, col, n int) []float32 {
	return unsafe.Slice((*float32)(m.at(row, col)), n)
}

// fits reports whether the storage holds rows by cols elements.
func (m *Matrix) fits(rows, cols int) bool {
	if m.trans {
		rows, cols = cols, rows
	}
	return rows == 0 || cols == 0 || m.stride >= cols && m.len >= (rows-1)*m.stride+cols
}

// Epilogue is work on finished results while they are in cache: bias, GELU,
// residual, statistics.
type Epilogue interface {
	// Row sees acc, the float32 results of one row from column col0 on, after
	// the whole sum over K and before they are converted and stored; it may
	// change them. Each element is passed exactly once. The workers call it
	// concurrently, for different elements. acc is the callee's only during the call.
	Row(row, col0 int, acc []float32)
}

// Product is one matrix product: C = A·B, or C += A·B with Accumulate, for A
// (M, K), B (K, N), C (M, N). The products of a linear layer with x (N, C), w
// (OC, C) and dout (N, OC) are
//
//	out = x·wᵀ       A: x,        B: w.T()
//	dx = dout·w      A: dout,     B: w
//	dw += doutᵀ·x    A: dout.T(), B: x, Accumulate
//
// A and B have the same type, C is float32, bfloat16, float16 or, for int8
// operands, int32. C must not overlap A or B.
type Product struct {
	M, N, K    int
	A, B, C    Matrix
	Accumulate bool

	// ScaleA (M) and ScaleB (N) turn int8 products into real numbers:
	// C[i][j] = ScaleA[i]*ScaleB[j] * sum. Nil stands for ones. Only for int8
	// operands and a C that is not int32.
	ScaleA, ScaleB []float32

	Epilogue Epilogue // may be nil; not with an int32 C
}

// check panics on what only a programming error can cause.
func (p *Product) check() {
	p.checkOperands()
	switch {
	case p.C.typ == I8:
		panic("gemm: int8 result")
	case p.C.typ == I32 && (p.A.typ != I8 || p.Epilogue != nil || p.ScaleA != nil || p.ScaleB != nil):
		panic("gemm: int32 result with float operands, scales or an epilogue")
	case p.A.typ != I8 && (p.ScaleA != nil || p.ScaleB != nil):
		panic("gemm: scales without int8 operands")
	case p.C.trans:
		panic("gemm: transposed result")
	case !p.C.fits(p.M, p.N):
		panic("gemm: C is too short or its stride too small")
	case p.ScaleA != nil && len(p.ScaleA) < p.M || p.ScaleB != nil && len(p.ScaleB) < p.N:
		panic("gemm: too few scales")
	}
}

func (p *Product) checkOperands() {
	switch {
	case p.M < 0 || p.N < 0 || p.K < 0:
		panic("gemm: negative dimension")
	case p.A.typ != p.B.typ:
		panic("gemm: A and B differ in type")
	case p.A.typ == I32:
		panic("gemm: int32 operand")
	case !p.A.fits(p.M, p.K):
		panic("gemm: A is too short or its stride too small")
	case !p.B.fits(p.K, p.N):
		panic("gemm: B is too short or its stride too small")
	}
}
