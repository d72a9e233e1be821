package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/auto"
	"ofpeak/bench/perfetto"
	"ofpeak/bench/rig"
	"ofpeak/bench/waterfall"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/trace"
	"ofpeak/results"
	"ofpeak/results/render"
)

// splitAndWhole writes a results file with a row of one rank and one of two, whose steps are known in parts.
func splitAndWhole(t *testing.T) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	rows := []results.Row{explained(rng, results.Baseline), explained(rng, results.DataParallel)}
	split := &rows[1]
	step := split.StepMedianS.Or(0)
	split.Case += " dp=2"
	split.DP, split.Ranks = 2, 2
	split.PeakBytesPerRank, split.ModelStateBytes = results.Some[int64](2_345_678), results.Some[int64](1_599_488)
	split.WFMatmulS, split.WFAttentionS, split.WFCommS, split.WFHostS = results.Some(step*0.4), results.Some(-step*0.01), results.Some(step*0.3), results.Some(step*0.06)
	path := filepath.Join(t.TempDir(), "run.csv")
	writeRows(t, path, rows)
	return path
}

// What the commands make of a results file, word for word.
func TestGoldenOutputs(t *testing.T) {
	path := splitAndWhole(t)
	for _, test := range []struct {
		golden string
		cmd    func(io.Writer) *cobra.Command
		args   string
	}{
		{"explain.txt", newExplainCmd, ""},
		{"explain.csv", newExplainCmd, "--format csv"},
		{"explain-row.txt", newExplainCmd, "--row 2"},
		{"explain-row.md", newExplainCmd, "--row 2 --format md"},
		{"export.benchfmt", newExportCmd, "--format benchfmt"},
		{"export.openmetrics", newExportCmd, "--format openmetrics"},
		{"export.jsonl", newExportCmd, "--format jsonl"},
	} {
		out, err := runCmd(test.cmd, append(strings.Fields(test.args), path)...)
		if err != nil {
			t.Errorf("%s: %v", test.golden, err)
		}
		golden(t, test.golden, strings.ReplaceAll(out, path, "run.csv"))
	}
}

// A trace's list and picture, word for word.
func TestGoldenTrace(t *testing.T) {
	dir := t.TempDir()
	file, svg := filepath.Join(dir, "trace.json"), filepath.Join(dir, "trace.svg")
	if err := perfetto.Create(file); err != nil {
		t.Fatal(err)
	}
	base := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	span := func(op string, kind trace.Kind, phase trace.Phase, begin, end time.Duration) trace.Span {
		return trace.Span{Op: op, Kind: kind, Phase: phase, Begin: begin * time.Millisecond, End: end * time.Millisecond}
	}
	var step waterfall.Step
	for rank := range 2 {
		step = append(step, trace.Timeline{Rank: rank, Base: base, Length: 40 * time.Millisecond, Tracks: []trace.Track{{Name: "compute", Spans: []trace.Span{
			span("linear.forward", trace.Product, trace.Forward, 0, 10+time.Duration(rank)), span("linear.backward-input", trace.Product, trace.Backward, 11, 30), span("adamw", trace.Update, trace.Optimizer, 32, 40)}}}})
	}
	for _, name := range []string{"model=tiny dp=2", "model=small dp=2"} {
		if err := perfetto.Append(file, name, step); err != nil {
			t.Fatal(err)
		}
	}
	list, err := runCmd(newTraceCmd, file)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "trace.txt", list)
	if _, err := runCmd(newTraceCmd, file, "--svg", svg, "--case", "2"); err != nil {
		t.Fatal(err)
	}
	picture, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "trace.svg", string(picture))
}

// The tables of measured things, word for word, of figures that are given.
func TestGoldenTables(t *testing.T) {
	verdicts := []verdict{
		{op: kernels.OpLinear, variant: "avx512", dtype: kernels.BF16, format: kernels.Sparse24, cases: 36, relError: 0.0031},
		{op: kernels.OpAdamW, variant: "go", dtype: kernels.F32, cases: 4, failed: 1, relError: 0.5},
	}
	bandwidths := []rig.Collective{
		{Op: comm.AllReduce, Ranks: 4, Bytes: 1 << 20, Time: 250 * time.Microsecond, AlgGBps: 4.194304, BusGBps: 6.291456},
		{Op: comm.AllGather, Ranks: 4, Bytes: 64 << 20, Time: 12500 * time.Microsecond, AlgGBps: 5.36870912, BusGBps: 4.02653184},
	}
	for name, table := range map[string]render.Table{"verify.txt": verifier{}.table(verdicts), "collectives.txt": bandwidthTable("shared-memory", bandwidths),
		"bubble.txt": bubbleTable(func(c bubbleCase, stages, microbatches int) float64 { return c.formula(stages, microbatches) + 0.01 })} {
		var out bytes.Buffer
		if err := table.Write(&out, render.Text, 0); err != nil {
			t.Fatal(err)
		}
		golden(t, name, out.String())
	}
}

// What a search for the fastest split tells, word for word: with a finalist that is chosen, one that has failed, and one rank beside it.
func TestGoldenSearch(t *testing.T) {
	finalist := func(line string, memory int64, predicted, measured, tokens float64) auto.Finalist {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		f := auto.Finalist{Candidate: auto.Candidate{Case: c, Memory: memory}, Status: results.Failed, Reason: "killed"}
		f.Step.Total = predicted
		if measured > 0 {
			f.Status, f.Reason, f.Measured, f.Tokens = results.OK, "", results.Some(measured), results.Some(tokens)
		}
		return f
	}
	e := auto.Explanation{Considered: 96, Fit: 41, Chosen: 1, Baseline: 12000,
		Rejected: []auto.Rejection{{Count: 50, Why: "8 layers are not divided by 3 stages"}, {Count: 5, Why: "a rank would need 70.1 MiB of 64 MiB"}},
		Finalists: []auto.Finalist{finalist("model=small tp=4", 9<<20, 0.020, 0, 0), finalist("model=small dp=2 tp=2", 12<<20+1<<19, 0.022, 0.0275, 18618),
			finalist("model=small dp=4 zero=1", 3<<30, 0.025, 0.03, 17067)}}
	e.Case = e.Finalists[0].Case
	var out bytes.Buffer
	if err := writeExplanation(&out, e); err != nil {
		t.Fatal(err)
	}
	golden(t, "auto.txt", out.String())
}
