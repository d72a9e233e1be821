package kernels

// Buffer is memory of one device, of one element type. It is freed by its owner, once.
type Buffer interface {
	DType() DType
	Len() int // elements
	Free()
}

// HostBuffer is a Buffer that the host can read and write directly: the CPU's and the reference's.
type HostBuffer interface {
	Buffer
	// Data is the whole memory as []float64, []float32, []uint16 (F16, BF16), []int32, []int8 or []uint8 (U8, E4M3, E5M2).
	Data() any
}

// Tensor is a contiguous row-major view of a Buffer. The zero Tensor stands for an absent operand.
type Tensor struct {
	Buf   Buffer
	Off   int // elements
	Shape []int
}

// Of is the view of a whole buffer.
func Of(b Buffer, shape ...int) Tensor { return view(b, 0, shape) }

// None reports whether the operand is absent.
func (t Tensor) None() bool { return t.Buf == nil }

// DType is the element type.
func (t Tensor) DType() DType { return t.Buf.DType() }

// Size is the number of elements.
func (t Tensor) Size() int { return sizeOf(t.Shape) }

// Dim is the size of dim i; a negative i counts from the last.
func (t Tensor) Dim(i int) int {
	if i < 0 {
		i += len(t.Shape)
	}
	return t.Shape[i]
}

// Rows is the size of all dims but the last, that is N of an (N, C) view.
func (t Tensor) Rows() int { return sizeOf(t.Shape[:len(t.Shape)-1]) }

// At is a view of the same memory, off elements after t's first.
func (t Tensor) At(off int, shape ...int) Tensor { return view(t.Buf, t.Off+off, shape) }

// Reshape is the same elements under another shape of the same size.
func (t Tensor) Reshape(shape ...int) Tensor {
	if sizeOf(shape) != t.Size() {
		panic("kernels: reshape changes the size")
	}
	return t.At(0, shape...)
}

// Slice is rows lo to hi of the first dim.
func (t Tensor) Slice(lo, hi int) Tensor {
	row := sizeOf(t.Shape[1:])
	return t.At(lo*row, append([]int{hi - lo}, t.Shape[1:]...)...)
}

func view(b Buffer, off int, shape []int) Tensor {
	if off < 0 || off+sizeOf(shape) > b.Len() {
		panic("kernels: view outside its buffer")
	}
	return Tensor{Buf: b, Off: off, Shape: shape}
}

func sizeOf(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
