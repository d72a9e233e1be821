package cpu

import (
	"fmt"
	"sync"
	"unsafe"

	"ofpeak/kernels"
)

// heap counts the memory that a device gave out.
type heap struct {
	mu     sync.Mutex
	memory kernels.Memory
}

// buffer is 64-byte aligned host memory. Of the typed slices only that of its type is set.
type buffer struct {
	heap *heap
	t    kernels.DType
	n    int
	raw  []byte // as mapped
	data any    // the typed slice, boxed once
	f32  []float32
	f16  []uint16 // F16 and BF16
	i32  []int32
	i8   []int8
	u8   []uint8 // U8, E4M3 and E5M2

	masks masks // of the sparse weights whose Meta is here
}

// Alloc gives n zeroed elements of any type but fp64, aligned to 64 bytes.
func (h *heap) Alloc(t kernels.DType, n int) (kernels.Buffer, error) {
	if n < 0 {
		panic("cpu: Alloc of a negative length")
	}
	if t == kernels.F64 {
		return nil, fmt.Errorf("cpu: a buffer of fp64: %w: use the reference device", kernels.ErrUnsupported)
	}
	bytes := int64(n) * int64(t.Size())
	if err := h.reserve(bytes); err != nil {
		return nil, err
	}
	raw, err := mapMemory(int(bytes))
	if err != nil {
		h.release(bytes)
		return nil, fmt.Errorf("cpu: allocate %d bytes: %w: %w", bytes, kernels.ErrOutOfMemory, err)
	}
	h.keep()
	b := &buffer{heap: h, t: t, n: n, raw: raw}
	b.cast()
	return b, nil
}

// cast sets the typed view of the raw memory.
func (b *buffer) cast() {
	p := unsafe.Pointer(unsafe.SliceData(b.raw))
	switch b.t {
	case kernels.F32:
		b.f32 = unsafe.Slice((*float32)(p), b.n)
		b.data = b.f32
	case kernels.F16, kernels.BF16:
		b.f16 = unsafe.Slice((*uint16)(p), b.n)
		b.data = b.f16
	case kernels.I32:
		b.i32 = unsafe.Slice((*int32)(p), b.n)
		b.data = b.i32
	case kernels.I8:
		b.i8 = unsafe.Slice((*int8)(p), b.n)
		b.data = b.i8
	default:
		b.u8 = unsafe.Slice((*uint8)(p), b.n)
		b.data = b.u8
	}
}

func (h *heap) reserve(bytes int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := &h.memory
	if m.Limit > 0 && m.Current+bytes > m.Limit {
		return fmt.Errorf("cpu: allocate %d bytes: %w: %d of the limit of %d are in use", bytes, kernels.ErrOutOfMemory, m.Current, m.Limit)
	}
	m.Current += bytes
	return nil
}

// keep counts what was reserved and has been mapped.
func (h *heap) keep() {
	h.mu.Lock()
	h.memory.Peak = max(h.memory.Peak, h.memory.Current)
	h.mu.Unlock()
}

func (h *heap) release(bytes int64) {
	h.mu.Lock()
	h.memory.Current -= bytes
	h.mu.Unlock()
}

// Memory is what Alloc gave out, in bytes of elements.
func (h *heap) Memory() kernels.Memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.memory
}

// LimitMemory makes an Alloc past so many bytes fail; 0 lifts the limit.
func (h *heap) LimitMemory(bytes int64) {
	h.mu.Lock()
	h.memory.Limit = bytes
	h.mu.Unlock()
}

// ResetPeak makes the peak what is in use now.
func (h *heap) ResetPeak() {
	h.mu.Lock()
	h.memory.Peak = h.memory.Current
	h.mu.Unlock()
}

func (b *buffer) DType() kernels.DType { return b.t }
func (b *buffer) Len() int             { return b.n }
func (b *buffer) Data() any            { return b.data }

// Free returns the memory to the system. Tensors of the buffer must not be used any more.
func (b *buffer) Free() {
	if b.raw == nil {
		panic("cpu: buffer freed twice")
	}
	b.heap.release(int64(b.n) * int64(b.t.Size()))
	unmapMemory(b.raw)
	*b = buffer{heap: b.heap, t: b.t}
}
