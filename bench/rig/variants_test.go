package rig

import (
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

func TestVariantForAPrecision(t *testing.T) {
	products := []string{"go", "avx2", "avx512", "avx512bf16", "avx512vnni"}
	gpu, sparse := []string{"fma", "mma", "cublaslt"}, []string{"fma", "mma", "cublaslt", "cusparselt"}
	for _, c := range []struct {
		precision string
		variants  []string
		want      string
		hs        int
		layout    kernels.Layout
		forced    string
		eight     bool
	}{
		{precision: "fp32", variants: products, want: "avx512"},
		{precision: "fp16", variants: products, want: "avx512"},
		{precision: "bf16", variants: products, want: "avx512bf16"},
		{precision: "int8", variants: products, want: "avx512vnni"},
		{precision: "bf16", variants: products[:2], want: "avx2"},
		{precision: "fp32", variants: []string{"naive", "flash-go", "flash-avx512", "flash-avx512bf16"}, want: "flash-avx512"},
		{precision: "bf16", variants: []string{"naive", "flash-go", "flash-avx512", "flash-avx512bf16"}, want: "flash-avx512bf16"},
		{precision: "fp64"},
		{precision: "bf16", variants: gpu, want: "cublaslt"},
		{precision: "bf16", variants: gpu[:2], want: "mma"},
		{precision: "fp32", variants: gpu[:2], want: "fma"},
		{precision: "tf32", variants: gpu[:2], want: "mma"},
		{precision: "int8", variants: gpu, want: "mma"},
		{precision: "fp8", variants: gpu, want: "mma"},
		{precision: "fp8", variants: gpu, eight: true, want: "cublaslt"},
		{precision: "fp8", variants: gpu, eight: true, forced: "mma", want: "mma"},
		{precision: "fp8", variants: products, want: "avx512bf16"},
		{precision: "bf16", variants: gpu, layout: kernels.Layout{Format: kernels.Sparse24}, want: "mma"},
		{precision: "bf16", variants: sparse, layout: kernels.Layout{Format: kernels.Sparse24}, want: "cusparselt"},
		{precision: "bf16", variants: sparse, layout: kernels.Layout{Format: kernels.Sparse24}, forced: "mma", want: "mma"},
		{precision: "fp32", variants: sparse, layout: kernels.Layout{Format: kernels.Sparse24}, want: "fma"},
		{precision: "bf16", variants: sparse, want: "cublaslt"},
		{precision: "bf16", variants: gpu, layout: kernels.Layout{Format: kernels.BlockSparse, Block: 32}, want: "mma"},
		{precision: "bf16", variants: gpu, layout: kernels.Layout{Format: kernels.BlockSparse, Block: 8}, want: "fma"},
		{precision: "fp32", variants: gpu, layout: kernels.Layout{Format: kernels.Sparse24}, want: "fma"},
		{precision: "bf16", variants: gpu, forced: "mma", want: "mma"},
		{precision: "fp32", variants: gpu, forced: "mma", want: "fma"},
		{precision: "bf16", variants: []string{"rows", "flash"}, hs: 64, want: "flash"},
		{precision: "bf16", variants: []string{"rows", "flash"}, hs: 16, want: "rows"},
		{precision: "fp32", variants: []string{"rows", "flash"}, hs: 64, want: "rows"},
	} {
		p, ok := kernels.PrecisionNamed(c.precision)
		if !ok {
			t.Fatalf("no precision %s", c.precision)
		}
		if got := variantFor(c.variants, block.Config{C: 4 * c.hs, NH: 4, Precision: p, Layout: c.layout}, c.forced, c.eight); got != c.want {
			t.Errorf("%s of %v: %q, want %q", c.precision, c.variants, got, c.want)
		}
	}
}
