package report

import (
	"math"
	"strings"
	"testing"

	"ofpeak/results"
)

// TestClaims holds the verdicts on a run whose every ratio is known.
func TestClaims(t *testing.T) {
	tests := []struct {
		technique results.Technique
		claimed   string
		verdict   Verdict
		ratio     float64 // of the best case; 0: none
	}{
		{results.Distributed, "faster training", NotMeasured, 0},
		{results.ModelParallel, "deep or wide networks; overcomes one device's memory limit", NotMeasured, 0}, // that row failed
		{results.DataParallel, "higher device utilization", NotSupported, 0.4 / 0.44},
		{results.DataParallel, "faster", Supported, 0.748 / 0.44}, // than one such rank: the row of one core
		{results.DataParallel, "a larger batch", Supported, 0.6},
		{results.Sparse, "much lower storage", NotSupported, 1},
		{results.Sparse, "much lower compute cost", Supported, 0.75},
		{results.Sparse, "higher efficiency", NotSupported, 0.8},
		{results.MixedPrecision, "speed", Supported, 2},
		{results.MixedPrecision, "memory saved, so a larger batch or model", Supported, 0.7},
		{results.MixedPrecision, "bandwidth saved", NotMeasured, 0},
	}
	r := mustBuild(t, Options{}, lab())
	for _, test := range tests {
		found := false
		for _, c := range r.Claims {
			if c.Technique != test.technique || c.Claimed != test.claimed {
				continue
			}
			found = true
			best := 0.0
			if len(c.Cases) > 0 {
				best = c.Cases[0].Effect.Ratio
			}
			if c.Verdict != test.verdict || math.Abs(best-test.ratio) > 1e-3 {
				t.Errorf("%s, %s: %s, %v (%s); want %s, %v", test.technique, test.claimed, c.Verdict, best, c.Evidence(), test.verdict, test.ratio)
			}
		}
		if !found {
			t.Errorf("%s: %q is not claimed", test.technique, test.claimed)
		}
	}
}

// TestClaimsNeedMostCases has one pair that shows the benefit, then another that does not, then a third that does.
func TestClaimsNeedMostCases(t *testing.T) {
	rows := []results.Row{newRow(results.Baseline, "fp32", "", 0.4), newRow(results.MixedPrecision, "bf16", "", 0.2)}
	steps := []struct {
		precision results.Precision
		step      float64
		want      Verdict
	}{{"", 0, Supported}, {"fp16", 0.403, NotSupported}, {"fp8", 0.39, Supported}}
	for _, s := range steps {
		if s.precision != "" {
			rows = append(rows, newRow(results.MixedPrecision, s.precision, "", s.step))
		}
		for _, c := range mustBuild(t, Options{}, newFile("a.csv", rows...)).Claims {
			if c.Claimed == "speed" && c.Verdict != s.want {
				t.Errorf("%d rows: %s (%s); want %s", len(rows), c.Verdict, c.Evidence(), s.want)
			}
		}
	}
}

// TestPartnersDifferInTheTechniqueOnly changes a setting of the plain row: then it is no partner any more.
func TestPartnersDifferInTheTechniqueOnly(t *testing.T) {
	changes := map[string]func(*results.Row){
		"":           func(*results.Row) {},
		"batch":      func(r *results.Row) { r.B = 8 },
		"model":      func(r *results.Row) { r.C = 128 },
		"engine":     func(r *results.Row) { r.Engine = "gorgonia" },
		"recompute":  func(r *results.Row) { r.Recompute = "blocks" },
		"formula":    func(r *results.Row) { r.FLOPsFormula = "v2" },
		"cores":      func(r *results.Row) { r.CoresUsed = results.Some(1) },
		"status":     func(r *results.Row) { r.Settle(results.Wrong, "off") },
		"variants":   func(r *results.Row) { r.Variants = "avx2" },
		"sparsity":   func(r *results.Row) { r.SparseFormat = "2:4" },
		"seed":       func(r *results.Row) { r.Seed = 2 },
		"vocabulary": func(r *results.Row) { r.Vocab = results.Some(256) },
	}
	for name, change := range changes {
		base := newRow(results.Baseline, "fp32", "", 0.4)
		change(&base)
		m := mustBuild(t, Options{}, newFile("a.csv", base, newRow(results.MixedPrecision, "bf16", "", 0.2))).Machines[0]
		if p := m.partner(m.Entries[1], results.MixedPrecision, sameInAll); (p != nil) != (name == "") {
			t.Errorf("another %s: partner %v", name, p)
		}
	}
	base := newRow(results.Baseline, "fp32", "", 0.4)
	m := mustBuild(t, Options{}, newFile("a.csv", base, base, newRow(results.MixedPrecision, "bf16", "", 0.2))).Machines[0]
	if p := m.partner(m.Entries[2], results.MixedPrecision, sameInAll); p != nil {
		t.Error("of two rows that fit, one is taken")
	}
}

func TestParsePrice(t *testing.T) {
	tests := []struct {
		text    string
		device  string
		perHour float64 // 0: refused
	}{
		{"CNY 12/h", "", 12},
		{"USD 1.8/h", "", 1.8},
		{"USD1.8/2h", "", 0.9},
		{"A100 80GB SXM=CNY 73900/3y", "A100 80GB SXM", 73900 / (3 * 8766.0)},
		{"a=b=USD 1/h", "a=b", 1},
		{"EUR 12/h", "", 0},
		{"12/h", "", 0},
		{"CNY 12", "", 0},
		{"CNY 0/h", "", 0},
		{"CNY 1/0h", "", 0},
		{"CNY -1/h", "", 0},
		{"CNY NaN/h", "", 0},
		{"CNY 1/m", "", 0},
		{"", "", 0},
		{"CNY " + strings.Repeat("9", 400) + "/h", "", 0},
	}
	for _, test := range tests {
		p, err := ParsePrice(test.text)
		switch {
		case test.perHour == 0:
			if err == nil || !strings.HasPrefix(err.Error(), "--price ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: %+v, error %v", test.text, p, err)
			}
		case err != nil || p.Device != test.device || math.Abs(p.PerHour-test.perHour) > 1e-9:
			t.Errorf("%q: %+v, %v; want %v for %q", test.text, p, err, test.perHour, test.device)
		}
	}
}

func TestCost(t *testing.T) {
	gpus := newRow(results.DataParallel, "bf16", "dp=4", 0.01)
	gpus.DP, gpus.Ranks, gpus.Device, gpus.DeviceName, gpus.Chip, gpus.ThreadsPerRank, gpus.CoresUsed = 4, 4, results.CUDA, "NVIDIA H100 80GB HBM3", "H100 SXM", results.Opt[int]{}, results.Opt[int]{}
	gpus.ShareMeasuredPct, gpus.ShareMeasuredBasis = results.Some(10.0), "measured"
	gpus.Settle(results.OK, "")
	files := []*results.File{lab(), newFile("far.csv", gpus)}
	prices := func(texts ...string) []Price {
		var out []Price
		for _, s := range texts {
			p, err := ParsePrice(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, p)
		}
		return out
	}
	for _, order := range [][]string{{"CNY 3.6/h", "h100 sxm=USD 7.2/h"}, {"h100 sxm=USD 7.2/h", "CNY 3.6/h"}} {
		r := mustBuild(t, Options{Prices: prices(order...)}, files...)
		cpu, gpu := r.Machines[0].Entries[0], r.Machines[1].Entries[0]
		if got, want := cpu.Cost.Or(0), 0.001/(128/0.4)*1e6; math.Abs(got-want) > 1e-9 || cpu.Machine.Price.Currency != "CNY" {
			t.Errorf("%v: the machine's tokens cost %v; want CNY %v", order, got, want)
		}
		if got, want := gpu.Cost.Or(0), 4*0.002/(128/0.01)*1e6; math.Abs(got-want) > 1e-9 || gpu.Machine.Price.Currency != "USD" {
			t.Errorf("%v: the GPUs' tokens cost %v; want USD %v", order, got, want)
		}
	}
	if _, err := Build(files, Options{Prices: prices("TPU=CNY 1/h")}); err == nil || !strings.Contains(err.Error(), `"H100 SXM"`) {
		t.Errorf("a price for no device: %v", err)
	}
	if r := mustBuild(t, Options{Prices: prices("H100 SXM=USD 1/h")}, files...); r.Machines[0].Entries[0].Cost.Known() {
		t.Error("a machine without a price has a cost")
	}
}
