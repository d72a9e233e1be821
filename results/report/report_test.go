package report

import (
	"bytes"
	"flag"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"ofpeak/results"
	"ofpeak/results/stats"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// newRow is an ok row of a machine with two cores whose steps take about the given seconds. One step is 10^9 FLOPs at a peak of 10 GFLOPS.
func newRow(technique results.Technique, precision results.Precision, more string, step float64) results.Row {
	r := results.Row{
		Schema: results.SchemaVersion, Case: strings.TrimSpace("technique=" + string(technique) + " precision=" + string(precision) + " model=tiny " + more),
		Technique: technique, Precision: precision, Engine: "native", Model: "tiny", Pass: results.Train, C: 64, NH: 4, T: 32, L: 2, B: 4,
		DP: 1, TP: 1, PP: 1, Ranks: 1, ThreadsPerRank: results.Some(2), CoresUsed: results.Some(2), Recompute: "none", Seed: 1,
		Commit: "0123456789abcdef+", Host: "lab", OSArch: "linux/amd64", Device: results.CPU, DeviceName: "Example CPU", GoVersion: "go1.26",
		UTCTime:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		TokensPerStep: results.Some[int64](128), ModelFLOPsPerStep: results.Some[int64](1e9), FLOPsFormula: "v1",
		PeakBytesPerRank: results.Some[int64](100e6), CommBytes: results.Some[int64](0), MaxRelError: results.Some(1e-6),
	}
	for i := range 11 {
		r.StepSamplesS = append(r.StepSamplesS, step*(1+0.001*float64(i-5)))
	}
	s := stats.Summarize(r.StepSamplesS)
	r.SampleCount, r.StepMedianS, r.StepCILowS, r.StepCIHighS = results.Some(s.N), results.Some(s.Median), s.Low, s.High
	r.TokensPerS, r.TFLOPSPerDevice = results.Some(128/step), results.Some(1e-3/step)
	r.ShareMeasuredPct, r.ShareMeasuredBasis = results.Some(10/step), "measured "+string(precision)+" 10 GFLOPS"
	r.ForwardS, r.BackwardS, r.OptimizerS, r.CommExposedS, r.BubbleS = results.Some(0.3*step), results.Some(0.6*step), results.Some(0.05*step), results.Some(0.0), results.Some(0.0)
	r.Settle(results.OK, "")
	return r
}

// split is newRow on two ranks of a core each.
func split(technique results.Technique, precision results.Precision, more string, step float64) results.Row {
	r := newRow(technique, precision, more, step)
	r.DP, r.Ranks, r.ThreadsPerRank = 2, 2, results.Some(1)
	r.PeakBytesPerRank, r.CommBytes = results.Some[int64](60e6), results.Some[int64](4e6)
	r.CommExposedS = results.Some(0.04 * step)
	return r
}

// oneCore is newRow on a single core.
func oneCore(step float64) results.Row {
	r := newRow(results.Baseline, "fp32", "threads=1", step)
	r.ThreadsPerRank, r.CoresUsed = results.Some(1), results.Some(1)
	return r
}

func newFile(path string, rows ...results.Row) *results.File {
	f := &results.File{Path: path, Rows: rows}
	for i := range rows {
		if err := rows[i].Validate(); err != nil {
			panic(err)
		}
		f.Lines = append(f.Lines, i+2)
	}
	return f
}

// lab is a run of one machine with a row of most techniques, a noisy one and one that failed.
func lab() *results.File {
	bf16 := newRow(results.MixedPrecision, "bf16", "", 0.2)
	bf16.PeakBytesPerRank = results.Some[int64](70e6)
	profile(&bf16)
	sparse := newRow(results.Sparse, "fp32", "layout=2:4", 0.3)
	sparse.SparseFormat, sparse.SparseDensity, sparse.ShareMeasuredPct = "2:4", results.Some(0.5), results.Some(20.0)
	dp := split(results.DataParallel, "fp32", "dp=2", 0.44)
	dp.SpeedupVsBaseline, dp.ScalingEfficiency = results.Some(0.91), results.Some(0.85)
	failed := newRow(results.ModelParallel, "fp32", "pp=2", 1)
	failed.PP, failed.Ranks = 2, 2
	failed.Settle(results.Failed, `out of memory <at> step "1"`)
	base := newRow(results.Baseline, "fp32", "", 0.4)
	base.SpeedupVsBaseline = results.Some(1.0)
	return newFile("lab.csv", base, bf16, sparse, dp, oneCore(0.748), failed)
}

// profile gives a row that reaches half of its peak a waterfall, with a product of 6 FLOPs per byte that reaches 75 % of it.
func profile(r *results.Row) {
	step := r.StepMedianS.Or(0)
	for part, share := range map[*results.Opt[float64]]float64{
		&r.WFIdealS: 0.5, &r.WFMatmulS: 0.2, &r.WFAttentionS: -0.01, &r.WFMemoryBoundS: 0.15, &r.WFRecomputeS: 0, &r.WFOptimizerS: 0.05,
		&r.WFCommS: 0, &r.WFBubbleS: 0, &r.WFImbalanceS: 0.04, &r.WFHostS: 0.04, &r.WFThrottleS: 0.03, &r.ProfiledStepS: 1,
	} {
		*part = results.Some(share * step)
	}
	r.MemoryGBPerS = results.Some(5.0)
	r.Ops = results.OpTimes{{Name: "linear.forward", Seconds: 1e9 / 7.5e9, FLOPs: 1e9, Bytes: 1e9 / 6}, {Name: "layernorm", Seconds: 0.01, Bytes: 1e9 / 12}}
}

func mustBuild(t *testing.T, opt Options, files ...*results.File) *Report {
	t.Helper()
	r, err := Build(files, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPage holds the page of a synthetic run, word for word, without the style and the script.
func TestPage(t *testing.T) {
	price, err := ParsePrice("CNY 3.6/h")
	if err != nil {
		t.Fatal(err)
	}
	defer func(style, script string) { styleCSS, scriptJS = style, script }(styleCSS, scriptJS)
	styleCSS, scriptJS = "", ""
	var page bytes.Buffer
	if err := mustBuild(t, Options{Prices: []Price{price}}, lab()).WritePage(&page); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/page.html"
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page.Bytes(), want) {
		t.Errorf("the page differs from %s; look at it with -update", path)
	}
	for _, hostile := range []string{"<at>", `step "1"`} {
		if bytes.Contains(page.Bytes(), []byte(hostile)) {
			t.Errorf("the page holds %s unescaped", hostile)
		}
	}
}

// TestRowsThatAreNotOkAreInNoFigure puts a word into the failed row and looks for it in every figure.
func TestRowsThatAreNotOkAreInNoFigure(t *testing.T) {
	figures := mustBuild(t, Options{}, lab()).Figures()
	if len(figures) < 4 {
		t.Fatalf("%d figures; want 4 or more", len(figures))
	}
	for _, f := range figures {
		if svg := f.SVG(); strings.Contains(svg, "pp=2") || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("figure %s shows the failed row or no number", f.Name)
		}
	}
}

func TestMachinesAreToldApart(t *testing.T) {
	far := newRow(results.Baseline, "fp32", "", 0.01)
	far.Host, far.Device, far.DeviceName, far.Chip = "rack", results.CUDA, "NVIDIA H100 80GB HBM3", "H100 SXM"
	far.ThreadsPerRank, far.CoresUsed = results.Opt[int]{}, results.Opt[int]{}
	far.ShareMeasuredPct, far.ShareMeasuredBasis = results.Opt[float64]{}, ""
	far.ShareVendorPct, far.ShareVendorBasis = results.Some(12.5), "H100 SXM vendor FP32 67 TFLOPS (dense)"
	far.Settle(results.OK, "")
	sim := newRow(results.Baseline, "fp32", "", 0.01)
	sim.Device, sim.DeviceName = results.Sim, "simulated"
	sim.Settle(results.OK, "")
	r := mustBuild(t, Options{}, lab(), newFile("far.csv", far, sim), lab())
	if len(r.Machines) != 3 || len(r.Machines[0].Entries) != 12 || len(r.Machines[2].measured()) != 0 {
		t.Fatalf("machines %+v", r.Machines)
	}
	matrix := r.matrixTable()
	if len(matrix.Rows) != 2 || matrix.Rows[1][1].Text != "vendor" || matrix.Rows[1][2].Text != "12.5 %" || matrix.Rows[1][3].Text != "not measured" {
		t.Errorf("matrix %+v", matrix.Rows)
	}
	// The lab's run stands there twice, in two files: each row's partner is the one of its own file.
	for _, c := range r.Claims {
		if c.Machine == r.Machines[0] && c.Technique == results.MixedPrecision && c.Claimed == "speed" && len(c.Cases) != 2 {
			t.Errorf("%d cases of bf16; want one in each file", len(c.Cases))
		}
	}
}

func TestNothingToReport(t *testing.T) {
	if _, err := Build([]*results.File{newFile("a.csv")}, Options{}); err == nil {
		t.Error("no rows are reported")
	}
}

// TestWaterfallAddsUp holds that the parts of each row add up to its step, or say by how much they exceed it.
func TestWaterfallAddsUp(t *testing.T) {
	for _, e := range mustBuild(t, Options{}, lab()).Machines[0].measured() {
		w := waterfallOf(e)
		if w == nil {
			t.Errorf("%s has no waterfall", e.Name())
			continue
		}
		sum := w.reached.seconds
		for _, p := range w.losses {
			if p.seconds < 0 {
				t.Errorf("%s: %s takes %v s", e.Name(), p.name, p.seconds)
			}
			sum += p.seconds
		}
		if math.Abs(sum-w.whole()) > 1e-12 || w.excess < 0 {
			t.Errorf("%s: the parts take %v s of %v s", e.Name(), sum, w.whole())
		}
	}
}

// TestProfilesAreShownAsMeasured holds the waterfall and the place under the roofline of a row whose profile is known.
func TestProfilesAreShownAsMeasured(t *testing.T) {
	e := mustBuild(t, Options{}, lab()).Machines[0].Entries[1]
	w := waterfallOf(e)
	if got := w.largest(); got.name != "matrix products below peak" || math.Abs(w.excess-0.01*w.step) > 1e-12 {
		t.Errorf("the largest loss is %+v, the parts exceed the step by %v s", got, w.excess)
	}
	for _, p := range w.parts() {
		if p.ink == "" {
			t.Errorf("%s has no ink", p.name)
		}
	}
	// The peak is 10 GFLOPS, the memory 5 GB/s: they keep pace at 2 FLOPs per byte. The LayerNorm moves 10^9/12 bytes in 10 ms.
	spots := e.spots()
	if len(spots) != 3 {
		t.Fatalf("spots %+v; want the product, the LayerNorm and the row", spots)
	}
	for i, want := range []spot{{intensity: 3, share: 75}, {intensity: 0, share: 100.0 / 0.6}, {intensity: 2, share: 50}} {
		if got := spots[i]; math.Abs(got.intensity-want.intensity) > 1e-9 || math.Abs(got.share-want.share) > 1e-9 {
			t.Errorf("spot %d at %v, %v %%; want %v, %v %%", i, got.intensity, got.share, want.intensity, want.share)
		}
	}
}

// TestProfileBesideAPublishedPeak takes what was reached off products and attention as their FLOPs are, where the profile had no peak to do so.
func TestProfileBesideAPublishedPeak(t *testing.T) {
	r := newRow(results.Baseline, "fp16", "", 1)
	profile(&r)
	r.WFMatmulS, r.WFAttentionS, r.WFIdealS = results.Some(0.45), results.Some(0.24), results.Opt[float64]{}
	r.Ops = results.OpTimes{{Name: "linear.forward", Seconds: 0.45, FLOPs: 3e9, Bytes: 1}, {Name: "attention.forward", Seconds: 0.24, FLOPs: 1e9, Bytes: 1}}
	r.ShareMeasuredPct, r.ShareMeasuredBasis = results.Opt[float64]{}, ""
	r.ShareVendorPct, r.ShareVendorBasis = results.Some(20.0), "vendor"
	w := waterfallOf(mustBuild(t, Options{}, newFile("a.csv", r)).Machines[0].Entries[0])
	want := map[string]float64{"matrix products below peak": 0.3, "attention below peak": 0.19, "memory-bound operators": 0.15, "not explained": 0}
	for _, p := range w.losses {
		if seconds, ok := want[p.name]; ok && math.Abs(p.seconds-seconds) > 1e-12 {
			t.Errorf("%s: %v s, want %v", p.name, p.seconds, seconds)
		}
		delete(want, p.name)
	}
	if len(want) > 0 {
		t.Errorf("without %v", want)
	}
}

// TestRoofOfAPublishedPeak takes the chip table's figures where nothing was measured.
func TestRoofOfAPublishedPeak(t *testing.T) {
	r := newRow(results.Baseline, "fp16", "", 1)
	r.ShareMeasuredPct, r.Chip = results.Opt[float64]{}, "A100 80GB SXM"
	r.TFLOPSPerDevice, r.ShareVendorPct, r.ShareVendorBasis = results.Some(156.0), results.Some(50.0), "A100 80GB SXM vendor FP16 312 TFLOPS (dense)"
	if roof, ok := roofOf(&r); !ok || math.Abs(roof.flops-312e12) > 1 || math.Abs(roof.bytes-2.039e12) > 1 {
		t.Errorf("roof %+v, %v; want 312 TFLOPS and 2.039 TB/s", roof, ok)
	}
	r.Chip = "another"
	if roof, ok := roofOf(&r); ok {
		t.Errorf("an unknown chip has the roof %+v", roof)
	}
}

func TestFormats(t *testing.T) {
	tests := []struct{ got, want string }{
		{percent(81.63), "81.6 %"}, {percent(0.1234), "0.12 %"}, {percent(0), "0.0 %"}, {times(2.306), "2.31×"}, {times(12345), "12345×"},
		{duration(1.5), "1.50 s"}, {duration(0.0302), "30.2 ms"}, {duration(2e-7), "0.200 µs"}, {size(296087588), "296 MB"}, {size(0), "0 B"},
		{digits(0, 3), "0"}, {digits(-0.0123, 2), "-0.012"}, {letter(0), "A"}, {letter(27), "AB"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
