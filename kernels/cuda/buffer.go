package cuda

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
)

// buffer is memory of one device.
type buffer struct {
	dev   *Device
	t     kernels.DType
	n     int
	at    driver.Ptr
	freed bool
}

// Alloc gives n zeroed elements.
func (d *Device) Alloc(t kernels.DType, n int) (kernels.Buffer, error) {
	size := int64(n) * int64(t.Size())
	if d.mem.Limit > 0 && d.mem.Current+size > d.mem.Limit {
		return nil, fmt.Errorf("cuda: %w: %d bytes asked, %d of %d in use", kernels.ErrOutOfMemory, size, d.mem.Current, d.mem.Limit)
	}
	p, err := d.ctx.Alloc(size)
	if errors.Is(err, driver.ErrOutOfMemory) {
		return nil, fmt.Errorf("cuda: %w: %w", kernels.ErrOutOfMemory, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cuda: allocating %d bytes: %w", size, err)
	}
	if err := d.zero(p, size); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: clearing %d bytes: %w", size, err), d.ctx.Free(p))
	}
	d.mem.Current += size
	d.mem.Peak = max(d.mem.Peak, d.mem.Current)
	return &buffer{dev: d, t: t, n: n, at: p}, nil
}

// zero clears fresh memory before any stream can see it.
func (d *Device) zero(p driver.Ptr, size int64) error {
	if err := d.setup.Memset8(p, 0, size); err != nil {
		return err
	}
	return d.setup.Synchronize()
}

func (b *buffer) DType() kernels.DType { return b.t }
func (b *buffer) Len() int             { return b.n }

// Free returns the memory, once what was enqueued on it has run. Failing to free what is known to be allocated means the context is lost, which streams report.
func (b *buffer) Free() {
	if b.freed {
		panic("cuda: buffer freed twice")
	}
	b.freed = true
	b.dev.forget(b)
	b.dev.mem.Current -= int64(b.n) * int64(b.t.Size())
	_ = b.dev.ctx.Free(b.at)
}

// address is where a tensor starts, 0 for an absent one.
func address(t kernels.Tensor) driver.Ptr {
	if t.None() {
		return 0
	}
	b, ok := t.Buf.(*buffer)
	if !ok || b.freed {
		panic("cuda: a tensor of another device, or freed")
	}
	return b.at + driver.Ptr(t.Off*b.t.Size())
}

// aligned tells whether all tensors that are there start on a multiple of so many of their own elements.
func aligned(elements int, ts ...kernels.Tensor) bool {
	for _, t := range ts {
		if !t.None() && int(address(t))%(elements*t.DType().Size()) != 0 {
			return false
		}
	}
	return true
}
