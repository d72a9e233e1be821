// Package kerneltest tests that a kernels.Device keeps the contract: every operator, type, weight format and variant that it supports
// against the float64 reference (the cases of kernels/verify), then casts, memory, streams and events.
package kerneltest

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/verify"
)

// Options narrow or widen a run.
type Options struct {
	// Seed varies inputs and fuzzed shapes.
	Seed uint64
	// Skip leaves out cases, to keep slow devices within their time.
	Skip func(variant string, c verify.Case) bool
	// Types that the device computes in; nil means all.
	Types []kernels.DType
	// Narrow are the floats of 8 bits that it stores and casts besides; nil means all.
	Narrow []kernels.DType
}

// Run tests a device. open makes a fresh one; it is closed here.
func Run(t *testing.T, open func(t *testing.T) kernels.Device, o Options) {
	if o.Types == nil {
		o.Types = []kernels.DType{kernels.F64, kernels.F32, kernels.F16, kernels.BF16}
	}
	if o.Narrow == nil {
		o.Narrow = []kernels.DType{kernels.E4M3, kernels.E5M2}
	}
	h := &harness{open: open, Options: o}
	t.Run("ops", h.ops)
	t.Run("checks", h.checks)
	t.Run("cast", h.cast)
	t.Run("transfer", h.transfer)
	t.Run("scale", h.scale)
	t.Run("memory", h.memory)
	t.Run("streams", h.streams)
	t.Run("host", h.host)
	t.Run("repeatable", h.repeatable)
}

type harness struct {
	open func(t *testing.T) kernels.Device
	Options
}

// ops runs every case on every variant.
func (h *harness) ops(t *testing.T) {
	dev := h.device(t)
	s := Stream(t, dev)
	cases := verify.Cases(h.Seed)
	for _, op := range kernels.OpNames {
		if len(dev.Variants(op)) == 0 && supported(dev, op) {
			t.Errorf("%s has no variants", op)
		}
		t.Run(string(op), func(t *testing.T) { h.op(t, dev, s, op, cases) })
	}
}

// supported reports whether a device says that it runs an operator in some type.
func supported(dev kernels.Device, op kernels.Op) bool {
	for _, t := range []kernels.DType{kernels.F64, kernels.F32, kernels.F16, kernels.BF16} {
		if dev.Supports(op, t, kernels.Dense) == nil {
			return true
		}
	}
	return false
}

// op runs an operator's cases, each on all variants in turn, so that the reference computes it once.
func (h *harness) op(t *testing.T, dev kernels.Device, s kernels.Stream, op kernels.Op, cases []verify.Case) {
	defer func() {
		if err := dev.Select(op, ""); err != nil {
			t.Error(err)
		}
	}()
	ran := map[string]int{}
	for _, c := range cases {
		if c.Op != op || dev.Supports(op, c.Type, c.Layout.Format) != nil {
			continue
		}
		var want verify.Expected
		for _, variant := range dev.Variants(op) {
			if h.Skip != nil && h.Skip(variant, c) {
				continue
			}
			ran[variant]++
			if want == nil {
				var err error
				if want, err = c.Expect(); err != nil {
					t.Fatal(err)
				}
			}
			if err := dev.Select(op, variant); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Check(dev, s, want); err != nil {
				t.Errorf("%s: %v", variant, err)
			}
		}
	}
	for _, variant := range dev.Variants(op) {
		if ran[variant] == 0 {
			t.Errorf("%s: no case ran", variant)
		}
	}
}

// device opens a device that must be closed without a leak.
func (h *harness) device(t *testing.T) kernels.Device {
	t.Helper()
	dev := h.open(t)
	t.Cleanup(func() {
		if m := dev.Memory(); m.Current != 0 {
			t.Errorf("%d bytes were not freed", m.Current)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// Stream makes a stream that is closed with the test.
func Stream(t *testing.T, dev kernels.Device) kernels.Stream {
	t.Helper()
	s, err := dev.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Alloc makes a zeroed tensor that is freed with the test.
func Alloc(t *testing.T, dev kernels.Device, dt kernels.DType, shape ...int) kernels.Tensor {
	t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	b, err := dev.Alloc(dt, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Free)
	return kernels.Of(b, shape...)
}

// Upload makes a tensor of given values that is freed with the test.
func Upload(t *testing.T, dev kernels.Device, s kernels.Stream, dt kernels.DType, values []float64, shape ...int) kernels.Tensor {
	t.Helper()
	x := Alloc(t, dev, dt, shape...)
	s.Upload(x, verify.Dense(dt, values))
	return x
}

// Read downloads a tensor of any type.
func Read(t *testing.T, s kernels.Stream, x kernels.Tensor) []float64 {
	t.Helper()
	v, err := verify.Read(s, x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Near fails the test where got is further from want than the tolerance, by kernels.RelError.
func Near(t *testing.T, name string, got, want []float64, tolerance float64) {
	t.Helper()
	if e := kernels.RelError(got, want); !(e <= tolerance) {
		t.Errorf("%s is off by %.3g, more than %.3g", name, e, tolerance)
	}
}
