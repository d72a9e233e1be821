//go:build gpu

package cuda

import (
	"math"
	"slices"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cuda/driver/cudriver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/ref"
	"ofpeak/kernels/verify"
)

// The libcuda.so.1 that the loader finds decides what this runs on: the interpreter as a library (make test-cuda) or a GPU (make test-gpu). Either way it is reached through gorgonia.org/cu.

func onGPU(t *testing.T) *Device {
	t.Helper()
	dev, err := Open(cudriver.New(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// Each operator's kernels compute as the reference does: all cases on a GPU, some of each operator, type and variant on the interpreter.
func TestGPUKernelsAgreeWithTheReference(t *testing.T) {
	dev := onGPU(t)
	type kind struct {
		kernels.DType
		kernels.Format
	}
	every := 1 // of a kind
	if dev.info.Simulated {
		every = 60
	}
	for _, op := range kernels.OpNames {
		for _, variant := range dev.Variants(op) {
			if err := dev.Select(op, variant); err != nil {
				t.Fatal(err)
			}
			n := map[kind]int{}
			for _, c := range verify.Cases(1) {
				if c.Op != op || dev.Supports(op, c.Type, c.Layout.Format) != nil {
					continue
				}
				k := kind{c.Type, c.Layout.Format}
				if n[k]++; n[k]%every != 1%every {
					continue
				}
				if _, err := c.Run(dev); err != nil {
					t.Errorf("%s: %v", variant, err)
				}
			}
			if len(n) == 0 {
				t.Errorf("no case of %s by %s", op, variant)
			}
		}
	}
}

// A training step is the reference's, and, on the interpreter, to the bit the one that it does without libcuda between.
func TestGPUTrainsAsTheReference(t *testing.T) {
	dev := onGPU(t)
	for _, c := range []struct {
		precision string
		layout    kernels.Layout
	}{{precision: "bf16"}, {precision: "fp16", layout: kernels.Layout{Format: kernels.Sparse24}}} {
		cfg := block.Config{C: 128, NH: 2, T: 5, L: 1, V: 40, Batch: 1, Seed: 5, Precision: precision(t, c.precision), Layout: c.layout}
		losses, grads, err := train(dev, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		want, wantGrads, err := train(ref.New(), cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		tolerance := 16 * (cfg.Precision.Factors().Eps() + 4*math.Sqrt(float64(4*cfg.C))*kernels.F32.Eps())
		kerneltest.Near(t, "losses", losses, want, tolerance)
		kerneltest.Near(t, "gradients", grads, wantGrads, tolerance)
		if !dev.info.Simulated {
			continue
		}
		direct, directGrads, err := train(simulated(t, ptxsim.Config{}), cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(losses, direct) || !slices.Equal(grads, directGrads) {
			t.Errorf("%s: libcuda between changes the results: losses %v, without it %v", c.precision, losses, direct)
		}
	}
}

// Ceilings are checked on any device, and told of one that has a speed.
func TestGPUCeilings(t *testing.T) {
	dev := onGPU(t)
	c, err := dev.Ceilings(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Rates {
		if (r.TOPS > 0) == dev.info.Simulated {
			t.Errorf("%+v", r)
		}
	}
}
