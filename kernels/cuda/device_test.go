package cuda

import (
	"errors"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/verify"
)

// simulated opens a simulated GPU.
func simulated(t *testing.T, c ptxsim.Config) *Device {
	t.Helper()
	d, err := Open(ptxsim.New(c), 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// types are what the kernels store.
var types = []kernels.DType{kernels.F32, kernels.F16, kernels.BF16}

// Every kernel, as its PTX ships, keeps the contract of kernels.Device.
func TestKeepsTheContract(t *testing.T) {
	kerneltest.Run(t, func(t *testing.T) kernels.Device { return simulated(t, ptxsim.Config{Seed: 3}) }, kerneltest.Options{
		Types: types,
		// Tensor cores take 16-bit types and 8-bit integers; the others go to the same kernels under both variants.
		Skip: func(variant string, c verify.Case) bool {
			format := c.Layout.Format
			return variant == "mma" && c.Type == kernels.F32 && format != kernels.Int8 ||
				variant == "fma" && c.Type == kernels.TF32 || // fp32's kernels
				c.Type == kernels.FP8 || // see TestFloat8Products
				variant == "flash" && c.Type == kernels.F32 ||
				c.Type == kernels.F16 && format != kernels.Dense // the slowest; bf16 runs the same templates
		},
	})
}

// Products of 8-bit floats, whose factors take the same way to either variant.
func TestFloat8Products(t *testing.T) {
	dev, ran := simulated(t, ptxsim.Config{Seed: 6}), 0
	for _, c := range verify.Cases(7) {
		if c.Type != kernels.FP8 {
			continue
		}
		if _, err := c.Run(dev); err != nil {
			t.Error(err)
		}
		ran++
	}
	if ran < 50 {
		t.Errorf("%d cases", ran)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// Products of the library agree too. ptxsim's stand-in refuses what cuBLASLt may refuse, so that falling back is part of it.
func TestLibraryProducts(t *testing.T) {
	dev := simulated(t, ptxsim.Config{Seed: 4, Products: true})
	if name, err := dev.Library(); err != nil || name == "" {
		t.Fatalf("library %q, %v", name, err)
	}
	calls := &counted{Products: dev.products}
	dev.products = calls
	for _, c := range verify.Cases(5) {
		if c.Op != kernels.OpLinear || c.Layout.Format != kernels.Dense || c.Type == kernels.F64 {
			continue
		}
		if _, err := c.Run(dev); err != nil {
			t.Error(err)
		}
	}
	if calls.done < 50 || calls.refused == 0 {
		t.Errorf("the library did %d products and refused %d", calls.done, calls.refused)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// Where the device multiplies 8-bit floats, the library does, as far as it has kernels for them.
func TestLibraryProductsOf8Bits(t *testing.T) {
	older := simulated(t, ptxsim.Config{Products: true})
	dev := simulated(t, ptxsim.Config{Seed: 5, Products: true, Capability: 89})
	if older.Multiplies8() || !dev.Multiplies8() {
		t.Errorf("8.0 multiplies 8-bit floats: %t, 8.9: %t", older.Multiplies8(), dev.Multiplies8())
	}
	calls := &counted{Products: dev.products}
	dev.products = calls
	for _, c := range verify.Cases(9) {
		if c.Op != kernels.OpLinear || c.Type != kernels.FP8 {
			continue
		}
		if _, err := c.Run(dev); err != nil {
			t.Error(err)
		}
	}
	if calls.done < 20 || calls.refused > 0 {
		t.Errorf("the library did %d products and refused %d that it supports", calls.done, calls.refused)
	}
	for _, d := range []*Device{older, dev} {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// counted counts what the library did.
type counted struct {
	driver.Products
	done, refused int
}

func (c *counted) Multiply(s driver.Stream, p driver.Product) error {
	err := c.Products.Multiply(s, p)
	if err == nil {
		c.done++
	} else {
		c.refused++
	}
	return err
}

func TestWithoutTheLibraryOurKernelsMultiply(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	if _, err := dev.Library(); !errors.Is(err, driver.ErrNotSupported) {
		t.Errorf("got %v", err)
	}
	if err := dev.Select(kernels.OpLinear, library); !errors.Is(err, kernels.ErrUnsupported) {
		t.Errorf("selecting it: %v", err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}
