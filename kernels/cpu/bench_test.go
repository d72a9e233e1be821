//go:build unix

package cpu_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
)

// bench is a device on the cores that the process may use, with buffers that live as long as the benchmark.
type bench struct {
	*testing.B
	dev *cpu.Device
	s   kernels.HostStream
}

// benchmark runs body for one thread and for two, reporting what a call of it touches or computes, multiply-adds of type dt, and their shares of the
// measured ceilings.
func benchmark(b *testing.B, dt kernels.DType, body func(b bench) (call func(), bytes, flops int)) {
	for _, cores := range [][]int{{0}, {0, 1}} {
		b.Run(fmt.Sprintf("cores=%d", len(cores)), func(b *testing.B) {
			dev, err := cpu.New(cpu.Config{Cores: cores})
			if err != nil {
				b.Skip(err)
			}
			s, err := dev.NewStream()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			ceilingOf(cores)
			call, bytes, flops := body(bench{b, dev, s.(kernels.HostStream)})
			call()
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
			before := cpuSeconds()
			for b.Loop() {
				call()
				if err := s.Sync(); err != nil {
					b.Fatal(err)
				}
			}
			busy := (cpuSeconds() - before) / float64(b.N)
			seconds := b.Elapsed().Seconds() / float64(b.N)
			if bytes > 0 {
				b.ReportMetric(float64(bytes)/seconds/1e9, "GB/s")
				b.ReportMetric(float64(bytes)/busy/1e9, "GB/cpu-s")
			}
			if flops > 0 {
				b.ReportMetric(float64(flops)/seconds/1e9, "GFLOPS")
				b.ReportMetric(float64(flops)/busy/1e9, "GFLOP/cpu-s")
			}
			share(b, cores, dt, float64(flops)/seconds/1e9, float64(bytes)/seconds/1e9)
		})
	}
}

// normal is a tensor of random values.
func (b bench) normal(dt kernels.DType, shape ...int) kernels.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	buf, err := b.dev.Alloc(dt, n)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	t := kernels.Of(buf, shape...)
	b.s.Upload(t, tensor.New(tensor.WithShape(n), tensor.WithBacking(x)))
	if err := b.s.Sync(); err != nil {
		b.Fatal(err)
	}
	return t
}

// FLOPs are those of the causal half: 2·2·T²/2·HS a head forward, 2.5 times that backward; twice as many where all keys are seen.
func BenchmarkAttention(b *testing.B) {
	for _, dims := range []struct{ t, nh, hs int }{{1024, 12, 64}, {1024, 8, 128}, {4096, 2, 64}} {
		for _, dt := range []kernels.DType{kernels.F32, kernels.BF16} {
			name := fmt.Sprintf("%v/T=%d/NH=%d/HS=%d", dt, dims.t, dims.nh, dims.hs)
			flops := 2 * dims.nh * dims.t * dims.t * dims.hs
			b.Run("forward/"+name, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					qkv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs)
					out, lse := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(kernels.F32, 1, dims.nh, dims.t)
					return func() { b.s.AttentionForward(out, lse, qkv) }, 0, flops
				})
			})
			b.Run("backward/"+name, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					qkv, dqkv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs), b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs)
					out, dout := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(dt, 1, dims.t, dims.nh, dims.hs)
					lse, dots := b.normal(kernels.F32, 1, dims.nh, dims.t), b.normal(kernels.F32, 1, dims.nh, dims.t)
					b.s.AttentionForward(out, lse, qkv)
					return func() { b.s.AttentionBackward(dqkv, dots, dout, out, lse, qkv) }, 0, flops * 5 / 2
				})
			})
			b.Run("extend-forward/"+name, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					qkv, kv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs), b.normal(dt, 1, dims.t, 2, dims.nh, dims.hs)
					out, lse := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(kernels.F32, 1, dims.nh, dims.t)
					return func() { b.s.AttentionExtendForward(out, lse, qkv, kv) }, 0, 2 * flops
				})
			})
			b.Run("extend-backward/"+name, func(b *testing.B) {
				benchmark(b, dt, func(b bench) (func(), int, int) {
					qkv, dqkv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs), b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs)
					kv, dkv := b.normal(dt, 1, dims.t, 2, dims.nh, dims.hs), b.normal(dt, 1, dims.t, 2, dims.nh, dims.hs)
					out, dout := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(dt, 1, dims.t, dims.nh, dims.hs)
					lse, dots := b.normal(kernels.F32, 1, dims.nh, dims.t), b.normal(kernels.F32, 1, dims.nh, dims.t)
					b.s.AttentionExtendForward(out, lse, qkv, kv)
					return func() {
						b.s.Fill(dqkv, 0)
						b.s.Fill(dkv, 0)
						b.s.AttentionExtendBackward(dqkv, dkv, dots, dout, lse, qkv, kv)
					}, 0, 5 * flops
				})
			})
		}
	}
}

// Bytes are those that an operator must read and write once.
func BenchmarkMemoryBound(b *testing.B) {
	const n, c = 2048, 768
	for _, dt := range []kernels.DType{kernels.F32, kernels.BF16} {
		size, f32 := dt.Size(), kernels.F32
		ops := map[string]func(b bench) (func(), int, int){
			"LayerNormForward": func(b bench) (func(), int, int) {
				out, x, gain, bias := b.normal(dt, n, c), b.normal(dt, n, c), b.normal(dt, c), b.normal(dt, c)
				mean, rstd := b.normal(f32, n), b.normal(f32, n)
				return func() { b.s.LayerNormForward(out, mean, rstd, x, gain, bias) }, 2 * n * c * size, 0
			},
			"LayerNormBackward": func(b bench) (func(), int, int) {
				dx, dout, x, gain := b.normal(dt, n, c), b.normal(dt, n, c), b.normal(dt, n, c), b.normal(dt, c)
				mean, rstd, dgain, dbias := b.normal(f32, n), b.normal(f32, n), b.normal(f32, c), b.normal(f32, c)
				return func() { b.s.LayerNormBackward(dx, dgain, dbias, dout, x, mean, rstd, gain, dx) }, 4 * n * c * size, 0
			},
			"Add": func(b bench) (func(), int, int) {
				out, x, bias, res := b.normal(dt, n, c), b.normal(dt, n, c), b.normal(dt, c), b.normal(dt, n, c)
				return func() { b.s.Add(out, x, bias, res) }, 3 * n * c * size, 0
			},
			"MSE": func(b bench) (func(), int, int) {
				dx, x, y, loss, state := b.normal(dt, n, c), b.normal(dt, n, c), b.normal(dt, n, c), b.normal(f32, 1), b.normal(f32, kernels.StateLen)
				return func() { b.s.MSE(loss, dx, x, y, n*c, state) }, 3 * n * c * size, 0
			},
			"CrossEntropy": func(b bench) (func(), int, int) {
				x, loss, state := b.normal(dt, 64, 50257), b.normal(f32, 1), b.normal(f32, kernels.StateLen)
				targets := b.normal(kernels.I32, 64)
				b.s.Fill(targets, 7)
				return func() { b.s.CrossEntropy(loss, x, x, targets, 64, state) }, 2 * 64 * 50257 * size, 0
			},
			"AdamW": func(b bench) (func(), int, int) {
				a := kernels.AdamWArgs{Master: b.normal(f32, n*c), Grad: b.normal(f32, n*c), M: b.normal(f32, n*c), V: b.normal(f32, n*c),
					State: b.normal(f32, kernels.StateLen), LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1}
				bytes := 7 * n * c * 4
				if dt != f32 {
					a.Param = b.normal(dt, n*c)
					bytes += n * c * size
				}
				b.s.Fill(a.V, 1)
				b.s.Fill(a.State, 0)
				b.s.Fill(a.State.At(kernels.StateScale, 1), 1)
				return func() { b.s.AdamW(a) }, bytes, 0
			},
			"FindNonFinite": func(b bench) (func(), int, int) {
				x, state := b.normal(dt, n*c), b.normal(f32, kernels.StateLen)
				return func() { b.s.FindNonFinite(state, x) }, n * c * size, 0
			},
			"Cast": func(b bench) (func(), int, int) {
				x, y := b.normal(f32, n*c), b.normal(dt, n*c)
				return func() { b.s.Cast(y, x) }, n * c * (4 + size), 0
			},
			"Sum": func(b bench) (func(), int, int) { // what an all-reduce of two ranks adds
				out, x, y := b.normal(dt, n*c), b.normal(dt, n*c), b.normal(dt, n*c)
				parts := []kernels.Tensor{x, y}
				add := func() error { b.s.Sum(out, parts); return nil }
				return func() { b.s.Do(add) }, 3 * n * c * size, 0
			},
			"Embedding": func(b bench) (func(), int, int) {
				out, ids, wte, wpe := b.normal(dt, n, c), b.normal(kernels.I32, 2, n/2), b.normal(dt, 5000, c), b.normal(dt, n/2, c)
				b.s.Fill(ids, 7)
				return func() { b.s.EmbeddingForward(out, ids, wte, wpe) }, 3 * n * c * size, 0
			},
			"Fill": func(b bench) (func(), int, int) {
				x := b.normal(dt, n*c)
				return func() { b.s.Fill(x, 0) }, n * c * size, 0
			},
			"Copy": func(b bench) (func(), int, int) {
				x, y := b.normal(dt, n*c), b.normal(dt, n*c)
				return func() { b.s.Copy(y, x) }, 2 * n * c * size, 0
			},
		}
		for _, name := range slices.Sorted(maps.Keys(ops)) {
			b.Run(name+"/"+dt.String(), func(b *testing.B) { benchmark(b, dt, ops[name]) })
		}
	}
}

// BenchmarkStep is a training step of one gpt2 block. FLOPs are those of the dense model, so a sparse step may pass the peak.
func BenchmarkStep(b *testing.B) {
	const c, nh, t = 768, 12, 1024
	for _, name := range []string{"fp32", "bf16", "fp16"} {
		precision, _ := kernels.PrecisionNamed(name)
		for _, l := range []kernels.Layout{{}, {Format: kernels.Sparse24}, {Format: kernels.BlockSparse, Block: 32, Keep: 0.5}} {
			b.Run(name+"/"+l.Format.String(), func(b *testing.B) {
				benchmark(b, precision.Compute, func(b bench) (func(), int, int) {
					st, err := block.New(b.dev, b.s, block.Config{C: c, NH: nh, T: t, L: 1, Batch: 1, Precision: precision, Layout: l})
					if err != nil {
						b.Fatal(err)
					}
					acts, err := st.NewActs()
					if err != nil {
						b.Fatal(err)
					}
					d := b.normal(precision.Compute, t, c)
					return func() {
						st.ZeroGrads(b.s)
						st.Run(b.s, acts, nil, nil)
						st.AddLoss(b.s, acts, d, t*c)
						st.Backward(b.s, acts, d, nil, nil)
						st.CheckGrads(b.s)
						st.Update(b.s, block.DefaultHyper, 0, st.Size())
						st.EndStep(b.s)
					}, 0, t * (6*12*c*c + 7*t*c)
				})
			})
		}
	}
}

// BenchmarkCall is what enqueuing costs the caller, with operators too small to matter.
func BenchmarkCall(b *testing.B) {
	benchmark(b, kernels.F32, func(b bench) (func(), int, int) {
		x := b.normal(kernels.F32, 16)
		return func() {
			for range 1000 {
				b.s.Fill(x, 1)
			}
		}, 0, 0
	})
}

// cpuSeconds is the processor time of the process, which neighbours on a shared machine disturb less than the clock.
func cpuSeconds() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
