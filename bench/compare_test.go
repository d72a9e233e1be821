package main

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ofpeak/results"
	"ofpeak/results/compare"
	"ofpeak/results/stats"
)

// synthetic is an ok row of one machine with seeded samples around the given step time.
func synthetic(rng *rand.Rand, gpu bool, technique results.Technique, precision results.Precision, step float64) results.Row {
	r := results.Row{
		Schema: results.SchemaVersion, Case: "technique=" + string(technique) + " precision=" + string(precision) + " model=tiny", Technique: technique,
		Precision: precision, Engine: "native", Model: "tiny", Pass: results.Train, C: 64, NH: 4, T: 32, L: 2, B: 4, DP: 1, TP: 1, PP: 1, Ranks: 1, Seed: 1,
		Commit: "0123abc", Host: "cpu-host", OSArch: "linux/amd64", Device: results.CPU, DeviceName: "Example CPU", ThreadsPerRank: results.Some(2),
		UTCTime:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TokensPerStep: results.Some[int64](128), ModelFLOPsPerStep: results.Some[int64](80e6), FLOPsFormula: "block-v1",
	}
	for range 15 {
		r.StepSamplesS = append(r.StepSamplesS, step*math.Exp(0.004*rng.NormFloat64()))
	}
	s := stats.Summarize(r.StepSamplesS)
	r.SampleCount, r.StepMedianS, r.StepCILowS, r.StepCIHighS = results.Some(s.N), results.Some(s.Median), s.Low, s.High
	r.TokensPerS = results.Some(128 / s.Median)
	r.ShareMeasuredPct, r.ShareMeasuredBasis = results.Some(8e-5/s.Median/2.5*100), "Example CPU measured 2.5 GFLOPS"
	if gpu {
		r.Host, r.Device, r.DeviceName, r.Chip, r.ThreadsPerRank = "gpu-host", results.CUDA, "NVIDIA A100-SXM4-80GB", "A100 80GB SXM", results.Opt[int]{}
		r.ShareVendorPct, r.ShareVendorBasis = results.Some(8e-5/s.Median/312000*100), "A100 80GB SXM vendor BF16 312 TFLOPS (dense)"
		r.ShareMeasuredPct, r.ShareMeasuredBasis = results.Opt[float64]{}, ""
	}
	r.Settle(results.OK, "")
	return r
}

// writeRuns writes base.csv, later.csv (the same machine: a regression, a loss, another batch) and gpu.csv into the working directory.
func writeRuns(t *testing.T) {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, 3))
	base := []results.Row{
		synthetic(rng, false, results.Baseline, "fp32", 1e-3),
		synthetic(rng, false, results.MixedPrecision, "bf16", 6e-4),
		synthetic(rng, false, results.Sparse, "fp32", 8e-4),
		synthetic(rng, false, results.DataParallel, "fp32", 7e-4),
	}
	base[3].DP, base[3].Ranks, base[3].ThreadsPerRank = 2, 2, results.Some(1)
	later := []results.Row{
		synthetic(rng, false, results.Baseline, "fp32", 1e-3),
		synthetic(rng, false, results.MixedPrecision, "bf16", 6.6e-4),
		synthetic(rng, false, results.Sparse, "fp32", 8e-4),
		base[3],
	}
	later[2].Settle(results.Wrong, "max_rel_error 0.3 is over 0.01")
	later[3].B = 8
	gpu := []results.Row{
		synthetic(rng, true, results.Baseline, "fp32", 2e-5),
		synthetic(rng, true, results.MixedPrecision, "bf16", 1e-5),
		synthetic(rng, true, results.Sparse, "fp32", 2e-5),
	}
	gpu[2].FLOPsFormula = "block-v2"
	for path, rows := range map[string][]results.Row{"base.csv": base, "later.csv": later, "gpu.csv": gpu} {
		writeRows(t, path, rows)
	}
}

// writeRows writes a results file.
func writeRows(t *testing.T, path string, rows []results.Row) {
	t.Helper()
	w, err := results.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCompare(t *testing.T) {
	tests := []struct {
		golden string
		args   []string
	}{
		{"compare.txt", []string{"base.csv", "later.csv", "gpu.csv"}},
		{"compare.md", []string{"base.csv", "later.csv", "gpu.csv", "--format", "md"}},
		{"compare.csv", []string{"base.csv", "later.csv", "gpu.csv", "--format", "csv"}},
		{"compare.json", []string{"base.csv", "later.csv", "gpu.csv", "--format", "json"}},
		{"compare-filter.txt", []string{"later.csv", "gpu.csv", "base.csv", "--baseline", "base.csv", "--filter", "-technique:sparse precision:/fp/", "--row", "technique,precision", "--col", "file"}},
		{"compare-same.txt", []string{"base.csv", "base.csv", "--fail-on-slower", "0%"}},
		{"compare-threshold.txt", []string{"base.csv", "later.csv", "--threshold", "20%"}},
	}
	for _, test := range tests {
		got := inRuns(t, func() string {
			got, err := runCmd(newCompareCmd, test.args...)
			if err != nil {
				t.Errorf("%v: %v", test.args, err)
			}
			return got
		})
		golden(t, test.golden, got)
	}
}

// inRuns calls f in a directory that holds the synthetic runs, and comes back.
func inRuns(t *testing.T, f func() string) string {
	t.Helper()
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	writeRuns(t)
	out := f()
	t.Chdir(home)
	return out
}

func TestCompareFailsOnSlower(t *testing.T) {
	inRuns(t, func() string {
		_, err := runCmd(newCompareCmd, "base.csv", "later.csv", "--fail-on-slower", "5%")
		var gate *compare.GateError
		if !errors.As(err, &gate) || gate.ExitCode() != 3 || err.Error() != "slower by more than 5 %: 1 of 2 cases; no longer ok: 1" {
			t.Errorf("error %v", err)
		}
		return ""
	})
}

func TestCompareErrors(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"base.csv"}, "compare reads 2 files or more, not 1; give them as in compare BASE.csv OTHER.csv..."},
		{[]string{"base.csv", "none.csv"}, "none.csv: cannot be read: no such file or directory"},
		{[]string{"base.csv", "notes.txt"}, "notes.txt:1: column schema: is missing; is it a results CSV of ofpeak?"},
		{[]string{"base.csv", "later.csv", "--format", "pdf"}, `--format "pdf": is unknown; use text, csv, md or json`},
		{[]string{"base.csv", "later.csv", "--baseline", "none.csv"}, `--baseline "none.csv": is none of the files; name one of them`},
		{[]string{"base.csv", "later.csv", "--threshold", "much"}, `--threshold "much": is not a percentage from 0% to below 100%`},
		{[]string{"base.csv", "later.csv", "--fail-on-slower", "NaN"}, `--fail-on-slower "NaN": is not a percentage from 0% to below 100%`},
		{[]string{"base.csv", "later.csv", "--fail-on-slower", ""}, `--fail-on-slower "": is not a percentage from 0% to below 100%`},
	}
	inRuns(t, func() string {
		if err := os.WriteFile("notes.txt", []byte("hello\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			out, err := runCmd(newCompareCmd, test.args...)
			if err == nil || err.Error() != test.want || strings.Contains(out, "compared") {
				t.Errorf("%v: error %v, output %q; want %s", test.args, err, out, test.want)
			}
		}
		return ""
	})
}
