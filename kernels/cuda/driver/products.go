package driver

// Products is a library of matrix products on a context: cuBLASLt on real GPUs.
type Products interface {
	// Library is its name and version.
	Library() string
	// Multiply enqueues a product. The error is ErrNotSupported, wrapped, where the library has no kernel for it; nothing is enqueued then.
	Multiply(s Stream, p Product) error
	// Supports is nil if the library has a kernel for a product, else ErrNotSupported, wrapped. All addresses are those that Multiply will be given.
	Supports(p Product) error
	// Close releases the library's handle. The context must still be open.
	Close() error
}

// Type is the type of elements; the numbers are those of cudaDataType. Products take the first three, and 8-bit floats.
type Type int32

const (
	Float32  Type = 0
	Float16  Type = 2
	BFloat16 Type = 14
	Float64  Type = 1
	Int8     Type = 3
	Uint8    Type = 8
	Int32    Type = 10
	E4M3     Type = 28
	E5M2     Type = 29
)

// Size is an element's size in bytes.
func (t Type) Size() int {
	switch t {
	case Float64:
		return 8
	case Float32, Int32:
		return 4
	case Int8, Uint8, E4M3, E5M2:
		return 1
	}
	return 2
}

// Epilogue is what a product does to each element last.
type Epilogue int32

const (
	NoEpilogue   Epilogue = iota
	GELU                  // keeps its input in Aux; the tanh form (Hendrycks & Gimpel, arXiv:1606.08415, section 2)
	GELUGradient          // multiplies by GELU's derivative at Aux
)

// Product is C = epilogue(op(A)·op(B) + Addend + Bias), with op(A) (M,K), op(B) (K,N) and C (M,N). Matrices are row-major and contiguous; sums are float32.
// Addresses of 0 stand for operands that are not there.
//
// Factors of 8-bit floats are multiplied by their scales. They take devices of compute capability 8.9 and later, dims and addresses that are multiples of 16, A as it is
// and B transposed, not two E5M2, and an Out of 16 or 32 bits (cuBLAS documentation, section cublasLtMatmul).
type Product struct {
	M, N, K        int
	A, B           Ptr
	TransA, TransB bool // A is stored (K,M), B is stored (N,K)
	In, InB        Type // of A and of B, which differ between 8-bit floats only
	ScaleA, ScaleB Ptr  // float32
	TF32           bool // factors of type Float32 may be rounded to tf32, 11 digits
	C              Ptr
	Addend         Ptr  // (M,N); may be C
	Bias           Ptr  // (N), added to each row
	Out            Type // of C, Addend, Bias and Aux
	Epilogue       Epilogue
	Aux            Ptr // (M,N)
	Work           Ptr // memory that the library may use until the product has run
	WorkSize       int64
}
