package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ofpeak/results"
	"ofpeak/results/stats"
)

// newRow is an ok row whose steps take about the given seconds, with 1 % of noise.
func newRow(rng *rand.Rand, technique results.Technique, step float64, n int) results.Row {
	r := results.Row{
		Schema: results.SchemaVersion, Case: "technique=" + string(technique), Technique: technique, Precision: "fp32", Engine: "native", Model: "tiny",
		Pass: results.Train, C: 64, NH: 4, T: 32, L: 2, B: 4, DP: 1, TP: 1, PP: 1, Ranks: 1, ThreadsPerRank: results.Some(2), Seed: 1,
		Host: "h", OSArch: "linux/amd64", Device: results.CPU, DeviceName: "cpu of a test", UTCTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TokensPerStep: results.Some[int64](128), ModelFLOPsPerStep: results.Some[int64](1e9), FLOPsFormula: "block-v1",
		ShareMeasuredPct: results.Some(50.0), ShareMeasuredBasis: "cpu of a test measured fp32 0.1 TFLOPS",
	}
	for range n {
		r.StepSamplesS = append(r.StepSamplesS, step*math.Exp(0.01*rng.NormFloat64()))
	}
	s := stats.Summarize(r.StepSamplesS)
	r.SampleCount, r.StepMedianS, r.StepCILowS, r.StepCIHighS = results.Some(n), results.Some(s.Median), s.Low, s.High
	r.TokensPerS = results.Some(128 / s.Median)
	r.Settle(results.OK, "")
	if err := r.Validate(); err != nil {
		panic(err)
	}
	return r
}

func newFile(path string, rows ...results.Row) *results.File {
	f := &results.File{Path: path, Rows: rows}
	for i := range rows {
		f.Lines = append(f.Lines, i+2)
	}
	return f
}

func mustCompare(t *testing.T, files ...*results.File) *Table {
	t.Helper()
	table, err := Compare(files, Options{ThresholdPct: DefaultThresholdPct})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestKnownDifferencesAreFound draws many comparisons with 1 % noise and counts the verdicts. The wrong verdict must be rare everywhere.
func TestKnownDifferencesAreFound(t *testing.T) {
	const trials = 1000
	tests := []struct {
		slowdown float64 // step time of the other file / step time of the base
		n        int
		want     Verdict
		atLeast  int // of the trials
		never    []Verdict
		atMost   int // of the trials
	}{
		{1, 20, Same, 600, []Verdict{Faster, Slower}, 10},
		{1, 60, Same, 950, []Verdict{Faster, Slower}, 10},
		{1.03, 10, Slower, 950, []Verdict{Faster, Same}, 10},
		{1.03, 20, Slower, 990, []Verdict{Faster, Same}, 10},
		{1 / 1.03, 20, Faster, 990, []Verdict{Slower, Same}, 10},
		{1.01, 20, Unclear, 900, []Verdict{Faster}, 1},
		{1.5, 4, Slower, 1000, []Verdict{Faster, Same, Unclear}, 0},
		{2, 3, Unclear, 1000, []Verdict{Faster, Slower, Same}, 0},
	}
	for _, test := range tests {
		rng := rand.New(rand.NewPCG(11, uint64(test.n)))
		counts := map[Verdict]int{}
		for range trials {
			table := mustCompare(t, newFile("a", newRow(rng, results.Baseline, 0.1, test.n)), newFile("b", newRow(rng, results.Baseline, 0.1*test.slowdown, test.n)))
			counts[table.Pairs[0].Verdict]++
		}
		wrong := 0
		for _, v := range test.never {
			wrong += counts[v]
		}
		t.Logf("times as long %.3f, %d samples: %v", test.slowdown, test.n, counts)
		if counts[test.want] < test.atLeast || wrong > test.atMost {
			t.Errorf("times as long %.3f, %d samples: %v; want at least %d %s, at most %d of %v", test.slowdown, test.n, counts, test.atLeast, test.want, test.atMost, test.never)
		}
	}
}

// TestFalseAlarmsStayAtFivePercent takes the threshold away, so that only the test stands between noise and a verdict.
func TestFalseAlarmsStayAtFivePercent(t *testing.T) {
	const trials = 1000
	for _, n := range []int{6, 15, 60} {
		rng := rand.New(rand.NewPCG(5, uint64(n)))
		alarms := 0
		for range trials {
			r := stats.Compare(newRow(rng, results.Baseline, 0.1, n).StepSamplesS, newRow(rng, results.Baseline, 0.1, n).StepSamplesS)
			if v, _ := Judge(r, 0); v == Faster || v == Slower {
				alarms++
			}
		}
		t.Logf("%d samples: %d false alarms in %d trials", n, alarms, trials)
		if alarms > trials*6/100 {
			t.Errorf("%d samples: %d false alarms in %d trials; at most 6 %% allowed", n, alarms, trials)
		}
	}
}

func TestJudge(t *testing.T) {
	some := results.Some[float64]
	tests := []struct {
		low, high results.Opt[float64]
		p         float64
		threshold float64
		want      Verdict
	}{
		{some(1.02), some(1.04), 0.001, 1, Faster},
		{some(0.95), some(0.98), 0.001, 1, Slower},
		{some(0.995), some(1.005), 0.9, 1, Same},
		{some(1.002), some(1.008), 0.001, 1, Same}, // significant, and too small to matter
		{some(0.99), some(1.01), 0.9, 1, Same},
		{some(1.005), some(1.04), 0.001, 1, Unclear},
		{some(0.90), some(1.10), 0.5, 1, Unclear},
		{some(1.02), some(1.04), 0.06, 1, Unclear},
		{some(0.95), some(0.98), 0.001, 10, Same},
		{some(1.0), some(1.0), 1, 0, Same},
		{results.Opt[float64]{}, results.Opt[float64]{}, 0.1, 1, Unclear},
	}
	for _, test := range tests {
		got, why := Judge(stats.Ratio{Low: test.low, High: test.high, P: test.p}, test.threshold)
		if got != test.want || (why != "") != (got == Unclear) {
			t.Errorf("%v to %v, p %v, threshold %v %%: %s (%q); want %s", test.low, test.high, test.p, test.threshold, got, why, test.want)
		}
	}
}

// TestEverySettingForbidsAPair changes one setting at a time: such rows are never paired, and the reason names the setting.
func TestEverySettingForbidsAPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	changes := map[string]func(*results.Row){
		"technique":          func(r *results.Row) { r.Technique = results.Sparse },
		"precision":          func(r *results.Row) { r.Precision = "bf16" },
		"model":              func(r *results.Row) { r.Model = "small" },
		"engine":             func(r *results.Row) { r.Engine = "gorgonia" },
		"pass":               func(r *results.Row) { r.Pass = results.Forward },
		"c":                  func(r *results.Row) { r.C = 65 },
		"nh":                 func(r *results.Row) { r.NH = 8 },
		"t":                  func(r *results.Row) { r.T = 64 },
		"l":                  func(r *results.Row) { r.L = 3 },
		"b":                  func(r *results.Row) { r.B = 8 },
		"vocab":              func(r *results.Row) { r.Vocab = results.Some(256) },
		"dp":                 func(r *results.Row) { r.DP = 2 },
		"tp":                 func(r *results.Row) { r.TP = 2 },
		"pp":                 func(r *results.Row) { r.PP = 2 },
		"ranks":              func(r *results.Row) { r.Ranks = 2 },
		"threads_per_rank":   func(r *results.Row) { r.ThreadsPerRank = results.Some(1) },
		"sequence_parallel":  func(r *results.Row) { r.SequenceParallel = "on" },
		"overlap":            func(r *results.Row) { r.Overlap = "off" },
		"schedule":           func(r *results.Row) { r.Schedule = "1f1b" },
		"chunks":             func(r *results.Row) { r.Chunks = results.Some(2) },
		"ep":                 func(r *results.Row) { r.EP = results.Some(2) },
		"cp":                 func(r *results.Row) { r.CP = results.Some(2) },
		"cut":                func(r *results.Row) { r.Cut = "equal" },
		"experts":            func(r *results.Row) { r.Experts = "8x1@1" },
		"microbatches":       func(r *results.Row) { r.Microbatches = results.Some(4) },
		"bucket_bytes":       func(r *results.Row) { r.BucketBytes = results.Some[int64](1) },
		"zero":               func(r *results.Row) { r.ZeRO = results.Some(1) },
		"recompute":          func(r *results.Row) { r.Recompute = "blocks" },
		"sparse_format":      func(r *results.Row) { r.SparseFormat = "2:4" },
		"sparse_density":     func(r *results.Row) { r.SparseDensity = results.Some(0.5) },
		"memory_limit_bytes": func(r *results.Row) { r.MemoryLimitBytes = results.Some[int64](1) },
		"variants":           func(r *results.Row) { r.Variants = "avx2" },
		"seed":               func(r *results.Row) { r.Seed = 2 },
	}
	base := newRow(rng, results.Baseline, 0.1, 10)
	for i, s := range Settings(&base) {
		change, ok := changes[s.Name]
		if !ok {
			t.Errorf("setting %s is not tested", s.Name)
			continue
		}
		other := base
		change(&other)
		table := mustCompare(t, newFile("a", base), newFile("b", other))
		if len(table.Pairs) != 0 || len(table.Refused) == 0 || table.Refused[0].Row != &table.Files[0].Rows[0] {
			t.Errorf("%s: %d pairs, refused %+v; want the base row refused", s.Name, len(table.Pairs), table.Refused)
			continue
		}
		if reason := table.Refused[0].Reason; i >= named && !strings.Contains(reason, "line 2, differs in "+s.Name+": ") {
			t.Errorf("%s: reason %q", s.Name, reason)
		}
	}
	// Settings are the columns of the first group, apart from the schema and the case line.
	var names []string
	for _, s := range Settings(&base) {
		names = append(names, s.Name)
	}
	columns := results.Columns()
	identity := columns[2 : slices.Index(columns, "seed")+1]
	slices.Sort(names)
	if want := slices.Sorted(slices.Values(identity)); !slices.Equal(names, want) {
		t.Errorf("settings %v; the identity columns are %v", names, want)
	}
}

func TestDifferentWorkForbidsAPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := newRow(rng, results.Baseline, 0.1, 10)
	tests := []struct {
		change func(*results.Row)
		want   string
	}{
		{func(r *results.Row) { r.FLOPsFormula = "block-v2" }, "same case on line 2, but flops_formula differs: block-v1, block-v2"},
		{func(r *results.Row) { r.FLOPsFormula = "" }, "same case on line 2, but flops_formula differs: block-v1, none"},
		{func(r *results.Row) { r.ModelFLOPsPerStep = results.Some[int64](2e9) }, "same case on line 2, but model_flops_per_step differs: 1000000000, 2000000000"},
		{func(r *results.Row) { r.TokensPerStep = results.Some[int64](64) }, "same case on line 2, but tokens_per_step differs: 128, 64"},
	}
	for _, test := range tests {
		other := base
		test.change(&other)
		table := mustCompare(t, newFile("a", base), newFile("b", other))
		if len(table.Pairs) != 0 || len(table.Refused) != 1 || table.Refused[0].Reason != test.want {
			t.Errorf("%d pairs, refused %+v; want %q", len(table.Pairs), table.Refused, test.want)
		}
	}
}

// A row of schema 1 and one of schema 2 are a pair where the columns that schema 1 lacks are empty, as what they stand for was not there yet.
func TestSchemasArePaired(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := newRow(rng, results.Baseline, 0.1, 10)
	base.Schema = 1
	same, other := newRow(rng, results.Baseline, 0.1, 10), newRow(rng, results.Baseline, 0.1, 10)
	other.SequenceParallel = "on"
	table := mustCompare(t, newFile("a", base), newFile("b", same), newFile("c", other))
	if len(table.Pairs) != 1 || table.Pairs[0].Other.File != 1 || !slices.Contains(table.Pairs[0].Notes, "schema: 1, 2") {
		t.Errorf("pairs %+v", table.Pairs)
	}
	if len(table.Refused) != 1 || !strings.Contains(table.Refused[0].Reason, "sequence_parallel: none, on") {
		t.Errorf("refused %+v", table.Refused)
	}
}

func TestThreadsFollowTheHardware(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := newRow(rng, results.Baseline, 0.1, 10)
	large := base
	large.DeviceName, large.ThreadsPerRank, large.VariantsUsed = "another cpu", results.Some(96), "avx512"
	table := mustCompare(t, newFile("a", base), newFile("b", large))
	if len(table.Pairs) != 1 {
		t.Fatalf("refused %+v", table.Refused)
	}
	if want := []string{"threads_per_rank: 2, 96", "variants: none, avx512"}; !slices.Equal(table.Pairs[0].Notes, want) {
		t.Errorf("notes %q; want %q", table.Pairs[0].Notes, want)
	}
	// What an ok row warns of is shown.
	warned := base
	warned.Reason = "oversubscribed"
	table = mustCompare(t, newFile("a", base), newFile("b", warned))
	if want := []string{"other: oversubscribed"}; !slices.Equal(table.Pairs[0].Notes, want) {
		t.Errorf("notes %q; want %q", table.Pairs[0].Notes, want)
	}
	// Two candidates: neither is the partner.
	larger := large
	larger.ThreadsPerRank = results.Some(48)
	table = mustCompare(t, newFile("a", base), newFile("b", large, larger))
	if len(table.Pairs) != 0 || len(table.Refused) != 2 {
		t.Errorf("%d pairs, %d refused; want 0 and 2", len(table.Pairs), len(table.Refused))
	}
	// An exact partner goes first.
	exact := large
	exact.ThreadsPerRank = base.ThreadsPerRank
	table = mustCompare(t, newFile("a", base), newFile("b", large, exact))
	if len(table.Pairs) != 1 || table.Pairs[0].Other.Line != 3 {
		t.Errorf("pairs %+v", table.Pairs)
	}
}

func TestOnlyOKRowsAreCompared(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := newRow(rng, results.Baseline, 0.1, 10)
	for _, status := range []results.Status{results.Skipped, results.Failed, results.Wrong, results.Suspect} {
		other := base
		other.Settle(status, "because")
		table := mustCompare(t, newFile("a", base), newFile("b", other))
		if len(table.Pairs) != 0 || len(table.Refused) != 0 || len(table.NotOK) != 1 {
			t.Fatalf("%s: %+v", status, table)
		}
		if n := table.NotOK[0]; n.Reason != string(status)+": because" || !n.Lost || n.File != 1 {
			t.Errorf("%s: %+v", status, n)
		}
		table = mustCompare(t, newFile("a", other), newFile("b", base))
		if len(table.Pairs) != 0 || len(table.NotOK) != 1 || table.NotOK[0].Lost || table.Refused[0].Reason != "the case is not ok there, on line 2" {
			t.Errorf("%s in the base: %+v", status, table)
		}
	}
	other := base
	other.Device = results.Sim
	other.Settle(results.OK, "")
	if table := mustCompare(t, newFile("a", base), newFile("b", other)); len(table.Pairs) != 0 || len(table.NotOK) != 1 {
		t.Errorf("simulated: %+v", table)
	}
}

func TestDuplicatesAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	base := newRow(rng, results.Baseline, 0.1, 10)
	table := mustCompare(t, newFile("a", base), newFile("b", base, base))
	var reasons []string
	for _, r := range table.Refused {
		reasons = append(reasons, fmt.Sprintf("%s:%d %s", table.Files[r.File].Path, r.Line, r.Reason))
	}
	want := []string{"a:2 the other file has this case on lines 2, 3; keep one", "b:2 the file has this case on lines 2, 3; keep one", "b:3 the file has this case on lines 2, 3; keep one"}
	if len(table.Pairs) != 0 || !slices.Equal(reasons, want) {
		t.Errorf("%d pairs, refused %q; want %q", len(table.Pairs), reasons, want)
	}
}

func TestManyFilesPairWithTheFirst(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	cases := []results.Technique{results.Baseline, results.MixedPrecision}
	var files []*results.File
	for i := range 3 {
		var rows []results.Row
		for _, c := range cases {
			rows = append(rows, newRow(rng, c, 0.1/float64(i+1), 10))
		}
		files = append(files, newFile(fmt.Sprint(i), rows...))
	}
	table := mustCompare(t, files...)
	var got []string
	for _, p := range table.Pairs {
		got = append(got, fmt.Sprintf("%d:%d-%d:%d %.0f %s", p.Base.File, p.Base.Line, p.Other.File, p.Other.Line, p.Ratio.Center, p.Verdict))
	}
	want := []string{"0:2-1:2 2 FASTER", "0:2-2:2 3 FASTER", "0:3-1:3 2 FASTER", "0:3-2:3 3 FASTER"}
	if !slices.Equal(got, want) {
		t.Errorf("pairs %q; want %q", got, want)
	}
}

func TestCompareRefusesBadCalls(t *testing.T) {
	if _, err := Compare([]*results.File{newFile("a")}, Options{}); err == nil {
		t.Error("one file is compared")
	}
	for _, pct := range []float64{-1, 100, math.NaN()} {
		if _, err := Compare([]*results.File{newFile("a"), newFile("b")}, Options{ThresholdPct: pct}); err == nil {
			t.Errorf("threshold %v is accepted", pct)
		}
	}
}
