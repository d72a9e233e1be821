package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
)

// bench is a device on the cores that the process may use, with buffers that live as long as the benchmark.
type bench struct {
	*testing.B
	dev *cpu.Device
	s   kernels.HostStream
}

// benchmark runs body for one thread and for all, reporting what a call of it touches or computes.
func benchmark(b *testing.B, body func(b bench) (call func(), bytes, flops int)) {
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
			call, bytes, flops := body(bench{b, dev, s.(kernels.HostStream)})
			call()
			if err := s.Sync(); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				call()
				if err := s.Sync(); err != nil {
					b.Fatal(err)
				}
			}
			seconds := b.Elapsed().Seconds() / float64(b.N)
			if bytes > 0 {
				b.ReportMetric(float64(bytes)/seconds/1e9, "GB/s")
			}
			if flops > 0 {
				b.ReportMetric(float64(flops)/seconds/1e9, "GFLOPS")
			}
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

// FLOPs are those of the causal half: 2·2·T²/2·HS a head forward, 2.5 times that backward.
func BenchmarkAttention(b *testing.B) {
	for _, dims := range []struct{ t, nh, hs int }{{1024, 12, 64}, {1024, 8, 128}, {4096, 2, 64}} {
		for _, dt := range []kernels.DType{kernels.F32, kernels.BF16} {
			name := fmt.Sprintf("%v/T=%d/NH=%d/HS=%d", dt, dims.t, dims.nh, dims.hs)
			flops := 2 * dims.nh * dims.t * dims.t * dims.hs
			b.Run("forward/"+name, func(b *testing.B) {
				benchmark(b, func(b bench) (func(), int, int) {
					qkv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs)
					out, lse := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(kernels.F32, 1, dims.nh, dims.t)
					return func() { b.s.AttentionForward(out, lse, qkv) }, 0, flops
				})
			})
			b.Run("backward/"+name, func(b *testing.B) {
				benchmark(b, func(b bench) (func(), int, int) {
					qkv, dqkv := b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs), b.normal(dt, 1, dims.t, 3, dims.nh, dims.hs)
					out, dout := b.normal(dt, 1, dims.t, dims.nh, dims.hs), b.normal(dt, 1, dims.t, dims.nh, dims.hs)
					lse, dots := b.normal(kernels.F32, 1, dims.nh, dims.t), b.normal(kernels.F32, 1, dims.nh, dims.t)
					b.s.AttentionForward(out, lse, qkv)
					return func() { b.s.AttentionBackward(dqkv, dots, dout, out, lse, qkv) }, 0, flops * 5 / 2
				})
			})
		}
	}
}
