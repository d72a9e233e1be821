package rig

import (
	"testing"

	"ofpeak/kernels/cpu/peak"
)

// Variants that are equally fast but for noise give one basis.
func TestBestRate(t *testing.T) {
	rates := []peak.Rate{{Type: "float32", Variant: "go", All: 4}, {Type: "float32", Variant: "avx2", All: 100}, {Type: "float32", Variant: "avx512", All: 99.5}, {Type: "int8", Variant: "avx512vnni", All: 400}}
	for isa, want := range map[string]peak.Rate{"": {Type: "float32", Variant: "avx512", All: 100}, "avx2": {Type: "float32", Variant: "avx2", All: 100}, "go": {Type: "float32", Variant: "go", All: 4}} {
		if got, ok := bestRate(rates, "float32", isa); got != want || !ok {
			t.Errorf("isa %q: %+v", isa, got)
		}
	}
	rates[2].All = 50
	if got, _ := bestRate(rates, "float32", ""); got.Variant != "avx2" {
		t.Errorf("a slow wide variant is the basis: %+v", got)
	}
	if _, ok := bestRate(rates, "bfloat16", ""); ok {
		t.Error("a type that was not measured has a rate")
	}
}
