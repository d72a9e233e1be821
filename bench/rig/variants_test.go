package rig

import (
	"testing"

	"ofpeak/kernels"
)

func TestVariantForAPrecision(t *testing.T) {
	products := []string{"go", "avx2", "avx512", "avx512bf16", "avx512vnni"}
	for _, c := range []struct {
		precision string
		variants  []string
		want      string
	}{
		{"fp32", products, "avx512"},
		{"fp16", products, "avx512"},
		{"bf16", products, "avx512bf16"},
		{"int8", products, "avx512vnni"},
		{"bf16", products[:2], "avx2"},
		{"fp32", []string{"naive", "flash-go", "flash-avx512", "flash-avx512bf16"}, "flash-avx512"},
		{"bf16", []string{"naive", "flash-go", "flash-avx512", "flash-avx512bf16"}, "flash-avx512bf16"},
		{"fp64", nil, ""},
	} {
		p, ok := kernels.PrecisionNamed(c.precision)
		if !ok {
			t.Fatalf("no precision %s", c.precision)
		}
		if got := variantFor(c.variants, p); got != c.want {
			t.Errorf("%s of %v: %q, want %q", c.precision, c.variants, got, c.want)
		}
	}
}
