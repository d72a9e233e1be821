package main

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"ofpeak/results"
)

// explained is a row whose step has a waterfall.
func explained(rng *rand.Rand, technique results.Technique) results.Row {
	r := synthetic(rng, false, technique, "fp32", 1e-3)
	step := r.StepMedianS.Or(0)
	for _, v := range []*results.Opt[float64]{&r.WFIdealS, &r.WFMatmulS, &r.WFAttentionS, &r.WFMemoryBoundS, &r.WFRecomputeS, &r.WFOptimizerS,
		&r.WFCommS, &r.WFBubbleS, &r.WFImbalanceS, &r.WFHostS, &r.WFThrottleS} {
		*v = results.Some(0.0)
	}
	r.WFIdealS, r.WFMatmulS, r.ProfiledStepS = results.Some(step/4), results.Some(step*3/4), results.Some(step)
	r.Ops = results.OpTimes{{Name: "linear.forward", Seconds: step, FLOPs: 1e6, Bytes: 1e5}}
	return r
}

func TestExplain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	path := filepath.Join(t.TempDir(), "run.csv")
	rows := []results.Row{explained(rng, results.Baseline), synthetic(rng, false, results.MixedPrecision, "bf16", 1e-3), explained(rng, results.Sparse)}
	writeRows(t, path, rows)
	bare := filepath.Join(t.TempDir(), "bare.csv")
	writeRows(t, bare, rows[1:2])
	for _, test := range []struct {
		args       []string
		has, lacks []string
		wantError  string
	}{
		{args: []string{path}, has: []string{"baseline fp32 tiny", "sparse fp32 tiny", "ideal%", "25.0", "75.0"}, lacks: []string{"mixed", "comm%", "linear"}},
		{args: []string{path, "--row", "3"}, has: []string{"technique=sparse", "matrix products below peak", "75.0", "████", "linear.forward"}, lacks: []string{"baseline"}},
		{args: []string{path, "--case", "precision=fp32"}, has: []string{"technique=baseline", "technique=sparse", "linear.forward"}},
		{args: []string{path, "--case", "sparse fp32 tiny"}, has: []string{"technique=sparse", "linear.forward"}, lacks: []string{"baseline"}},
		{args: []string{path, "--row", "1", "--format", "csv"}, has: []string{"where the step went,time,share%", "linear.forward,"}, lacks: []string{"█"}},
		{args: []string{path, "--row", "1", "--format", "md"}, has: []string{"technique=baseline precision=fp32 model=tiny  \n", "| linear.forward |"}},
		{args: []string{path, "--row", "2"}, wantError: "--row 2: this row does not say where its step went; ofpeak explain " + path + " lists those that do"},
		{args: []string{path, "--row", "4"}, wantError: "--row 4: " + path + " has rows 1 to 3"},
		{args: []string{path, "--row", "-1"}, wantError: "--row -1: " + path + " has rows 1 to 3"},
		{args: []string{path, "--case", "gpt2"}, wantError: `--case "gpt2": is in no case that says where its step went; ofpeak explain ` + path + " lists those that do"},
		{args: []string{bare}, wantError: bare + ": no row says where its step went; measure again with this version's ofpeak run"},
		{args: []string{path, "--format", "png"}, wantError: `--format "png": is unknown; use text, csv or md`},
		{args: []string{"none.csv"}, wantError: "none.csv: cannot be read: no such file or directory"},
	} {
		var out, errs bytes.Buffer
		status := run(&out, &errs, append([]string{"explain"}, test.args...))
		if got := strings.TrimPrefix(strings.TrimSpace(errs.String()), "ofpeak: "); got != test.wantError || (status == 0) != (test.wantError == "") {
			t.Errorf("%v: status %d, error %q; want %q", test.args, status, got, test.wantError)
		}
		for _, text := range test.has {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%v: %q is not in\n%s", test.args, text, out.String())
			}
		}
		for _, text := range test.lacks {
			if strings.Contains(out.String(), text) {
				t.Errorf("%v: %q is in\n%s", test.args, text, out.String())
			}
		}
	}
}
