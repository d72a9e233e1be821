// Package ref is the device that defines right answers: every operator as plain loops in float64, run on the host at the call. Buffers of
// narrower types work too: operands are widened, computed in float64, and results rounded once when stored.
//
// It is not for speed and never benchmarked.
package ref

import (
	"fmt"
	"runtime"
	"time"

	"ofpeak/kernels"
)

// variant is the only implementation of each operator.
const variant = "loops"

// Device implements kernels.Device.
type Device struct{ mem kernels.Memory }

// New makes a device.
func New() *Device { return &Device{} }

// Info describes the device.
func (d *Device) Info() kernels.Info {
	return kernels.Info{Kind: "ref", Name: "float64 loops", Units: runtime.GOMAXPROCS(0)}
}

// Supports is nil for every operator on every floating-point type of 16 bits or more, and for products of factors rounded to fewer.
func (d *Device) Supports(op kernels.Op, t kernels.DType, f kernels.Format) error {
	if t.Eps() == 0 || t == kernels.E4M3 || t == kernels.E5M2 || t == kernels.FP8 && (op != kernels.OpLinear || f != kernels.Dense) {
		return fmt.Errorf("%w: %s on %s operands", kernels.ErrUnsupported, op, t)
	}
	return nil
}

// Variants lists the one variant.
func (d *Device) Variants(kernels.Op) []string { return []string{variant} }

// Select accepts the one variant.
func (d *Device) Select(op kernels.Op, name string) error {
	if name != "" && name != variant {
		return fmt.Errorf("%w: ref has no variant %q of %s, only %q", kernels.ErrUnsupported, name, op, variant)
	}
	return nil
}

// Memory counts what Alloc gave out.
func (d *Device) Memory() kernels.Memory { return d.mem }

// LimitMemory bounds what Alloc gives out.
func (d *Device) LimitMemory(bytes int64) { d.mem.Limit = bytes }

// ResetPeak forgets earlier peaks.
func (d *Device) ResetPeak() { d.mem.Peak = d.mem.Current }

// NewStream makes a stream that runs each call at once.
func (d *Device) NewStream() (kernels.Stream, error) { return &stream{}, nil }

// NewEvent makes an event.
func (d *Device) NewEvent() (kernels.Event, error) { return &event{}, nil }

// Close reports buffers that were not freed.
func (d *Device) Close() error {
	if d.mem.Current != 0 {
		return fmt.Errorf("ref: closed with %d bytes not freed", d.mem.Current)
	}
	return nil
}

type event struct{ at time.Time }

func (e *event) Since(start kernels.Event) time.Duration { return e.at.Sub(start.(*event).at) }
func (e *event) Close() error                            { return nil }
