package ref

import (
	"fmt"
	"unsafe"

	"ofpeak/kernels"
)

// buffer is host memory of one type.
type buffer struct {
	dev  *Device
	t    kernels.DType
	n    int
	data any
}

// Alloc gives n zeroed elements.
func (d *Device) Alloc(t kernels.DType, n int) (kernels.Buffer, error) {
	size := int64(n) * int64(t.Size())
	if d.mem.Limit > 0 && d.mem.Current+size > d.mem.Limit {
		return nil, fmt.Errorf("ref: %w: %d bytes asked, %d of %d in use", kernels.ErrOutOfMemory, size, d.mem.Current, d.mem.Limit)
	}
	d.mem.Current += size
	d.mem.Peak = max(d.mem.Peak, d.mem.Current)
	return &buffer{dev: d, t: t, n: n, data: alloc(t, n)}, nil
}

func alloc(t kernels.DType, n int) any {
	switch t {
	case kernels.F64:
		return aligned[float64](n)
	case kernels.F32:
		return aligned[float32](n)
	case kernels.F16, kernels.BF16:
		return aligned[uint16](n)
	case kernels.I32:
		return aligned[int32](n)
	case kernels.I8:
		return aligned[int8](n)
	case kernels.U8, kernels.E4M3, kernels.E5M2:
		return aligned[uint8](n)
	}
	panic("ref: unknown type")
}

// aligned is a slice that starts on a multiple of 64 bytes.
func aligned[E any](n int) []E {
	const line = 64
	size := int(unsafe.Sizeof(*new(E)))
	s := make([]E, n+line/size)
	skip := -int(uintptr(unsafe.Pointer(&s[0]))) & (line - 1) / size
	return s[skip : skip+n : skip+n]
}

func (b *buffer) DType() kernels.DType { return b.t }
func (b *buffer) Len() int             { return b.n }
func (b *buffer) Data() any            { return b.data }

func (b *buffer) Free() {
	if b.data == nil {
		panic("ref: buffer freed twice")
	}
	b.dev.mem.Current -= int64(b.n) * int64(b.t.Size())
	b.data = nil
}
