package rig

import (
	"strings"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// A row of 8-bit floats has a share of the peak of the units that multiplied them, and none where that is not known.
func TestSharesOfTheUnitsThatRan(t *testing.T) {
	c, err := workload.ParseCase("technique=mixed-precision precision=fp8 model=gpt2")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		chip, variants string
		bases          []string // parts of the basis; nil: no share
	}{
		{"H100 SXM", "linear=mma attention=flash", []string{"H100 SXM vendor BF16 989.4 TFLOPS"}},
		{"H100 SXM", "linear=fma attention=rows", []string{"H100 SXM vendor BF16 989.4 TFLOPS"}},
		{"H100 SXM", "linear=cublaslt attention=flash", []string{"H100 SXM vendor FP8 1979 TFLOPS", "H100 SXM vendor BF16 989.4 TFLOPS", "weighted by FLOPs"}},
		{"H100 SXM", "", []string{"FP8 1979", "BF16 989.4"}}, // imported
		{"A100 80GB SXM", "linear=mma attention=flash", []string{"A100 80GB SXM vendor BF16 312 TFLOPS"}},
		{"A100 80GB SXM", "", nil},
	} {
		chip, ok := chips.Builtin().Lookup(test.chip)
		if !ok {
			t.Fatalf("no chip %s", test.chip)
		}
		row := results.Row{VariantsUsed: test.variants, StepMedianS: results.Some(0.01)}
		FillPublished(&row, c, chip)
		if row.ShareVendorPct.Known() != (test.bases != nil) || row.HFUVendorPct.Known() != (test.bases != nil) {
			t.Errorf("%s with %q: shares %v and %v", test.chip, test.variants, row.ShareVendorPct, row.HFUVendorPct)
		}
		for _, part := range test.bases {
			if !strings.Contains(row.ShareVendorBasis, part) {
				t.Errorf("%s with %q: the basis is %q, without %q", test.chip, test.variants, row.ShareVendorBasis, part)
			}
		}
		if len(test.bases) == 1 && strings.Contains(row.ShareVendorBasis, "FP8") {
			t.Errorf("%s with %q: the basis is %q", test.chip, test.variants, row.ShareVendorBasis)
		}
	}
}
