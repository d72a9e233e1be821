package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/kerneltest"
)

// The tiled algorithm equals the naive one at lengths on, just below and just above every tile's edge, however the heads are cut.
func TestFlashEqualsNaive(t *testing.T) {
	for _, threads := range []int{1, 3} {
		dev := open(t, cpu.Config{Threads: threads})
		s := kerneltest.Stream(t, dev)
		for _, length := range []int{1, 6, 47, 48, 49, 95, 96, 97, 127, 128, 129, 192, 256, 257, 288, 384} {
			for _, hs := range []int{1, 16, 40} {
				t.Run(fmt.Sprintf("threads=%d/T=%d/HS=%d", threads, length, hs), func(t *testing.T) { compareVariants(t, dev, s, length, hs) })
			}
		}
	}
}

func compareVariants(t *testing.T, dev kernels.Device, s kernels.Stream, length, hs int) {
	const b, nh = 1, 2
	random := func(shape ...int) kernels.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		rng, x := rand.New(rand.NewPCG(uint64(n), 7)), make([]float64, n)
		for i := range x {
			x[i] = rng.NormFloat64() * 2
		}
		return kerneltest.Upload(t, dev, s, kernels.F32, x, shape...)
	}
	qkv, dout := random(b, length, 3, nh, hs), random(b, length, nh, hs)
	var want [][]float64
	for _, variant := range dev.Variants(kernels.OpAttention) {
		if err := dev.Select(kernels.OpAttention, variant); err != nil {
			t.Fatal(err)
		}
		out, lse := kerneltest.Alloc(t, dev, kernels.F32, b, length, nh, hs), kerneltest.Alloc(t, dev, kernels.F32, b, nh, length)
		dqkv, dots := kerneltest.Alloc(t, dev, kernels.F32, b, length, 3, nh, hs), kerneltest.Alloc(t, dev, kernels.F32, b, nh, length)
		s.AttentionForward(out, lse, qkv)
		s.AttentionBackward(dqkv, dots, dout, out, lse, qkv)
		var got [][]float64
		for _, x := range []kernels.Tensor{out, lse, dqkv, dots} {
			got = append(got, kerneltest.Read(t, s, x))
		}
		if want == nil {
			want = got
		}
		for i, name := range []string{"out", "lse", "dqkv", "scratch"} {
			kerneltest.Near(t, variant+" "+name, got[i], want[i], 2e-4)
		}
	}
}
