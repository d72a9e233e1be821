package kerneltest

import (
	"errors"
	"slices"
	"testing"
	"unsafe"

	"ofpeak/kernels"
)

// memory checks the counting, the limit, zeroing and alignment.
func (h *harness) memory(t *testing.T) {
	dev := h.device(t)
	base := dev.Memory().Current
	a := alloc(t, dev, kernels.F32, 1000)
	b := alloc(t, dev, kernels.U8, 24)
	counted(t, dev, base+4024, base+4024)
	a.Free()
	counted(t, dev, base+24, base+4024)
	dev.ResetPeak()
	counted(t, dev, base+24, base+24)

	dev.LimitMemory(base + 24 + 400)
	if _, err := dev.Alloc(kernels.F32, 101); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("past the limit: %v", err)
	}
	counted(t, dev, base+24, base+24)
	alloc(t, dev, kernels.F32, 100).Free()
	dev.LimitMemory(0)
	alloc(t, dev, kernels.F32, 101).Free()
	b.Free()
	if m := dev.Memory(); m.Current != base || m.Limit != 0 {
		t.Errorf("in the end %+v", m)
	}
	h.fresh(t, dev)
}

// fresh memory is zero, also where it was used before, and aligned.
func (h *harness) fresh(t *testing.T, dev kernels.Device) {
	s := Stream(t, dev)
	for _, n := range []int{1, 3, 1000, 70000} {
		for _, dt := range slices.Concat([]kernels.DType{kernels.I32, kernels.I8, kernels.U8}, h.Types, h.Narrow) {
			for range 2 {
				b := alloc(t, dev, dt, n)
				if b.Len() != n || b.DType() != dt {
					t.Errorf("%d of %s asked, got %d of %s", n, dt, b.Len(), b.DType())
				}
				if hb, ok := b.(kernels.HostBuffer); ok && address(hb)%64 != 0 {
					t.Errorf("%s[%d] is not aligned", dt, n)
				}
				for i, v := range Read(t, s, kernels.Of(b, n)) {
					if v != 0 {
						t.Errorf("%s[%d] starts with %g at %d", dt, n, v, i)
						break
					}
				}
				s.Fill(kernels.Of(b, n), 5)
				if err := s.Sync(); err != nil {
					t.Error(err)
				}
				b.Free()
			}
		}
	}
}

func address(b kernels.HostBuffer) uintptr {
	switch d := b.Data().(type) {
	case []float64:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	case []float32:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	case []uint16:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	case []int32:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	case []int8:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	case []uint8:
		return uintptr(unsafe.Pointer(unsafe.SliceData(d)))
	}
	panic("kerneltest: unknown host type")
}

// alloc leaves freeing to the caller.
func alloc(t *testing.T, dev kernels.Device, dt kernels.DType, n int) kernels.Buffer {
	t.Helper()
	b, err := dev.Alloc(dt, n)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func counted(t *testing.T, dev kernels.Device, current, peak int64) {
	t.Helper()
	if m := dev.Memory(); m.Current != current || m.Peak != peak {
		t.Errorf("counted %+v, want %d now and %d at most", m, current, peak)
	}
}
