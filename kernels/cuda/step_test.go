package cuda

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/kernels/ref"
)

// microbatches of a step: gradients must add up.
const microbatches = 2

// train runs steps of a language model and gives each step's loss, and the first step's gradients.
func train(dev kernels.Device, cfg block.Config, steps int) (losses []float64, grads []float64, err error) {
	s, err := dev.NewStream()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	st, err := block.New(dev, s, cfg)
	if err != nil {
		return nil, nil, err
	}
	defer st.Close()
	a, err := st.NewActs()
	if err != nil {
		return nil, nil, err
	}
	defer a.Free()
	n := cfg.Batch * cfg.T
	buf, err := dev.Alloc(cfg.Precision.Compute, n*cfg.C)
	if err != nil {
		return nil, nil, err
	}
	defer buf.Free()
	ids, targets := make([]int32, n), make([]int32, n)
	for i := range ids {
		ids[i], targets[i] = int32(i*7%cfg.V), int32(i*11%cfg.V)
	}
	s.Upload(a.IDs, tensor.New(tensor.WithShape(n), tensor.WithBacking(ids)))
	s.Upload(a.Target, tensor.New(tensor.WithShape(n), tensor.WithBacking(targets)))
	d := kernels.Of(buf, n, cfg.C)
	for range steps {
		st.ZeroGrads(s)
		for range microbatches {
			st.Run(s, a, nil, nil)
			st.AddLoss(s, a, d, microbatches*n)
			st.Backward(s, a, d, nil, nil)
		}
		st.CheckGrads(s)
		if grads == nil {
			if grads, err = download(s, st.Grads); err != nil {
				return nil, nil, err
			}
		}
		st.Update(s, block.DefaultHyper, 0, st.Size())
		st.EndStep(s)
		loss, err := download(s, st.Loss)
		if err != nil {
			return nil, nil, err
		}
		losses = append(losses, loss[0])
	}
	return losses, grads, nil
}

func download(s kernels.Stream, t kernels.Tensor) ([]float64, error) {
	v := make([]float64, t.Size())
	return v, s.Download(tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v)), t)
}

// precision finds a precision by its name.
func precision(t *testing.T, name string) kernels.Precision {
	t.Helper()
	p, ok := kernels.PrecisionNamed(name)
	if !ok {
		t.Fatalf("no precision %s", name)
	}
	return p
}

// A training step on the simulated GPU is that of the reference, which stores the same types and the same positions.
func TestTrainingStepsEqualTheReference(t *testing.T) {
	sparse := kernels.Layout{Format: kernels.Sparse24}
	blocks := kernels.Layout{Format: kernels.BlockSparse, Block: 32, Keep: 0.5}
	for _, c := range []struct {
		precision string
		length    int
		layout    kernels.Layout
		experts   block.Experts
		library   bool
	}{
		{precision: "fp32", length: 20}, {precision: "tf32", length: 20}, {precision: "bf16", length: 66}, {precision: "fp16", length: 66}, {precision: "fp8", length: 17}, {precision: "fp8", length: 32, library: true},
		{precision: "bf16", length: 9, layout: sparse}, {precision: "bf16", length: 16, layout: sparse, library: true}, {precision: "fp16", length: 9, layout: blocks}, {precision: "fp32", length: 9, layout: sparse}, {precision: "fp32", length: 9, layout: blocks},
		{precision: "fp32", length: 11, experts: block.Experts{Count: 4, TopK: 1, Capacity: 1}}, {precision: "tf32", length: 11, experts: block.Experts{Count: 4, TopK: 2, Capacity: 1}},
	} {
		t.Run(fmt.Sprintf("%s %s experts=%d library=%t", c.precision, c.layout.Format, c.experts.Count, c.library), func(t *testing.T) {
			cfg := block.Config{C: 128, NH: 2, T: c.length, L: 1, V: 40, Batch: 1, Seed: 5, Precision: precision(t, c.precision), Layout: c.layout, Experts: c.experts}
			// A gradient passes about 16 roundings and sums of up to 4C terms.
			tolerance := 16 * (min(cfg.Precision.Factors().Eps(), kernels.BF16.Eps()) + 4*math.Sqrt(float64(4*cfg.C))*kernels.F32.Eps())
			losses, grads, err := train(simulated(t, ptxsim.Config{Seed: 1, Products: c.library, SparseProducts: c.library, Capability: 89}), cfg, 2)
			if err != nil {
				t.Fatal(err)
			}
			want, wantGrads, err := train(ref.New(), cfg, 2)
			if err != nil {
				t.Fatal(err)
			}
			kerneltest.Near(t, "losses", losses, want, tolerance)
			if cfg.Precision.Math != kernels.FP8 {
				kerneltest.Near(t, "gradients", grads, wantGrads, tolerance)
			} else if e := kernels.NormError(grads, wantGrads); !(e <= 0.1) { // the last digit of 16 bits decides between two values of 8, a tenth apart
				t.Errorf("the gradients are off by %.3g of their norm", e)
			}
			if want[1] > want[0]-0.05 {
				t.Errorf("the losses %v do not fall", want)
			}
		})
	}
}

// Whatever call of the driver or of a library fails, the failure comes back with its code and nothing stays allocated.
func TestFailuresLeakNothing(t *testing.T) {
	sparse := kernels.Layout{Format: kernels.Sparse24}
	for name, c := range map[string]struct {
		model block.Config
		sim   ptxsim.Config
		step  int
	}{
		"own kernels": {block.Config{C: 16, NH: 2, T: 3, L: 1, V: 5, Batch: 1, Precision: precision(t, "fp16")}, ptxsim.Config{}, 9},
		"cuBLASLt":    {block.Config{C: 16, NH: 2, T: 16, L: 1, V: 16, Batch: 1, Precision: precision(t, "fp8")}, ptxsim.Config{Products: true, Capability: 89}, 5},
		"cuSPARSELt":  {block.Config{C: 16, NH: 2, T: 8, L: 1, V: 5, Batch: 1, Precision: precision(t, "bf16"), Layout: sparse}, ptxsim.Config{SparseProducts: true}, 5},
	} {
		t.Run(name, func(t *testing.T) { failuresLeakNothing(t, c.model, c.sim, c.step) })
	}
}

func failuresLeakNothing(t *testing.T, cfg block.Config, config ptxsim.Config, step int) {
	failed := 0
	for n := 1; ; n += step {
		config.Seed = uint64(n)
		sim := ptxsim.New(config)
		dev, err := Open(sim, 0)
		if err != nil {
			t.Fatal(err)
		}
		sim.FailAt(n, driver.ErrOutOfMemory)
		_, _, err = train(dev, cfg, 1)
		if sim.Calls() > 0 {
			if err != nil {
				t.Errorf("no call failed: %v", err)
			}
			if cerr := dev.Close(); cerr != nil {
				t.Error(cerr)
			}
			break
		}
		if failed++; !errors.Is(err, driver.ErrOutOfMemory) {
			t.Errorf("call %d failed, the step gave %v", n, err)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("after call %d failed: %v", n, err)
		}
		if m := dev.Memory(); m.Current != 0 {
			t.Errorf("after call %d failed %d bytes are counted", n, m.Current)
		}
	}
	if failed < 20 {
		t.Errorf("only %d calls could fail", failed)
	}
}

func TestTokenOutsideTheVocabulary(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	s := kerneltest.Stream(t, dev)
	ids := kerneltest.Upload(t, dev, s, kernels.I32, []float64{0, 9}, 1, 2)
	wte, wpe := kerneltest.Alloc(t, dev, kernels.F32, 9, 4), kerneltest.Alloc(t, dev, kernels.F32, 2, 4)
	out := kerneltest.Alloc(t, dev, kernels.F32, 2, 4)
	s.EmbeddingForward(out, ids, wte, wpe)
	if err := s.Sync(); err == nil {
		t.Error("token 9 of a vocabulary of 9 was taken")
	}
	if err := s.Sync(); err != nil {
		t.Errorf("the error came twice: %v", err)
	}
}

func TestUnsupportedIsSaid(t *testing.T) {
	dev := simulated(t, ptxsim.Config{})
	for _, err := range []error{
		dev.Supports(kernels.OpAdamW, kernels.F64, kernels.Dense),
		dev.Supports("convolution", kernels.F32, kernels.Dense),
		dev.Select(kernels.OpLinear, "cublas"),
	} {
		if !errors.Is(err, kernels.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	}
	s := kerneltest.Stream(t, dev)
	qkv := kerneltest.Alloc(t, dev, kernels.F32, 1, 2, 3, 1, 257)
	s.AttentionForward(kerneltest.Alloc(t, dev, kernels.F32, 1, 2, 1, 257), kerneltest.Alloc(t, dev, kernels.F32, 1, 1, 2), qkv)
	if err := s.Sync(); !errors.Is(err, kernels.ErrUnsupported) || fmt.Sprint(err) == "" {
		t.Errorf("heads of 257 gave %v", err)
	}
	if info := dev.Info(); info.Kind != "sim" || info.Units < 1 {
		t.Errorf("got %+v", info)
	}
}
