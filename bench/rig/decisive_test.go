package rig

import (
	"context"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// Rows of experts are right in 16 and 8 bits, where rounding would send tokens whose choice is a close call elsewhere; with weights stored sparse too, of which the row tells both gains.
func TestExpertsAreVerified(t *testing.T) {
	r := newRig(t)
	for _, line := range []string{
		"model=tiny precision=bf16 layout=2:4 experts=4x1@1.25", "model=tiny precision=fp16 layout=block:16@0.5 experts=4x2@1.25 ep=2",
		"model=tiny precision=bf16 layout=2:4 experts=4x1@1.25 pp=2 ep=2 schedule=zb-h1 microbatches=2", "model=tiny precision=int8 pass=forward experts=8x1@1.25",
	} {
		row := run(t, r, line)
		if row.Status != results.OK {
			t.Errorf("%s: %s: %s", line, row.Status, row.Reason)
			continue
		}
		if row.SparseFormat == "" {
			continue
		}
		// of four experts' matrices half is stored: a token that takes one of them needs an eighth of what all would take
		if row.SparseDensity.Or(0) != 0.5 || row.DenseEquivTFLOPSPerDevice.Or(0) < 3*row.TFLOPSPerDevice.Or(0) {
			t.Errorf("%s: a density of %g, %g TFLOPS and as a dense model %g", line, row.SparseDensity.Or(0), row.TFLOPSPerDevice.Or(0), row.DenseEquivTFLOPSPerDevice.Or(0))
		}
	}
}

// Of 16 seeds that one is taken whose closest call is widest, and only where rounding could decide a call.
func TestDecisiveSeed(t *testing.T) {
	r := newRig(t)
	for line, chooses := range map[string]bool{"model=tiny experts=4x1@1": false, "model=tiny precision=bf16": false, "model=tiny precision=bf16 experts=4x2@1": true} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		c = verifiable(c)
		got, err := r.decisive(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		margins := map[int64]float64{}
		for i := range int64(decisiveSeeds) {
			one := referred(c)
			one.Seed += i
			if margins[one.Seed], err = r.margin(context.Background(), one); err != nil {
				t.Fatal(err)
			}
		}
		for seed, m := range margins {
			if chooses && m > margins[got.Seed] {
				t.Errorf("%s: seed %d with a margin of %g, and not %d with %g", line, got.Seed, margins[got.Seed], seed, m)
			}
		}
		if !chooses && got != c {
			t.Errorf("%s became %s", line, got)
		}
	}
}
