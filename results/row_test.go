package results

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// okRow is a valid row with all kinds of cells filled.
func okRow() Row {
	return Row{
		Schema: SchemaVersion, Case: "technique=data-parallel precision=bf16 model=tiny dp=2", Technique: DataParallel, Precision: "bf16",
		Engine: "native", Model: "tiny", Pass: Train, C: 64, NH: 4, T: 32, L: 2, B: 4, DP: 2, TP: 1, PP: 1, Ranks: 2, ThreadsPerRank: Some(1),
		BucketBytes: Some[int64](1 << 20), Seed: 1,
		Commit: "0123abc", Host: "h", OSArch: "linux/amd64", Device: CPU, DeviceName: `A "CPU", of some kind`, CoresUsed: Some(2),
		VariantsUsed: "avx512bf16", UTCTime: time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC),
		Status:      OK,
		WarmupSteps: Some(3), SampleCount: Some(3), StepMedianS: Some(0.25), StepCILowS: Some(0.24), StepCIHighS: Some(0.26),
		StepSpreadPct: Some(4.0), StepSamplesS: Samples{0.25, 0.24, 0.26},
		TokensPerStep: Some[int64](128), TokensPerS: Some(512.0), ModelFLOPsPerStep: Some[int64](75497472), FLOPsFormula: "block-v1",
		TFLOPSPerDevice: Some(0.000151), ShareMeasuredPct: Some(55.5), ShareMeasuredBasis: "this CPU measured bf16 0.2 TFLOPS",
		CommBytes: Some[int64](0), WFIdealS: Some(0.1), WFMatmulS: Some(0.1), WFAttentionS: Some(-0.02), WFMemoryBoundS: Some(0.02), WFRecomputeS: Some(0.0), WFOptimizerS: Some(0.01),
		WFCommS: Some(0.01), WFBubbleS: Some(0.01), WFImbalanceS: Some(0.01), WFHostS: Some(0.01), WFThrottleS: Some(0.0), ProfiledStepS: Some(0.26),
		Ops: OpTimes{{"linear.forward", 0.125, 1e9, 4e6}, {"adamw", 0.01, 0, 2e6}}, SpeedupVsBaseline: Some(1.9), MaxRelError: Some(1e-3), LossLast: Some(-0.5),
	}
}

func TestColumnsHoldTheAgreedNames(t *testing.T) {
	agreed := []string{"schema", "case", "technique", "precision", "model", "device", "chip", "ranks", "dp", "tp", "pp", "status", "reason", "samples",
		"step_median_s", "step_ci_low_s", "step_ci_high_s", "tokens_per_s", "tflops_per_device", "share_survey_pct", "share_vendor_pct",
		"share_measured_pct", "peak_bytes_per_rank", "comm_bytes", "speedup_vs_baseline", "scaling_efficiency", "max_rel_error", "final_loss"}
	columns := Columns()
	for _, name := range agreed {
		if !slices.Contains(columns, name) {
			t.Errorf("column %s is missing", name)
		}
	}
	seen := map[string]bool{}
	for _, name := range columns {
		if seen[name] {
			t.Errorf("column %s occurs twice", name)
		}
		seen[name] = true
	}
}

func TestOptText(t *testing.T) {
	tests := []struct {
		value Opt[float64]
		want  string
	}{
		{Opt[float64]{}, ""},
		{Some(0.0), "0"},
		{Some(0.1), "0.1"},
		{Some(1e21), "1e+21"},
		{Some(-2.5), "-2.5"},
	}
	for _, test := range tests {
		text, err := test.value.MarshalText()
		if err != nil || string(text) != test.want {
			t.Errorf("%#v is written %q, %v; want %q", test.value, text, err, test.want)
		}
		var back Opt[float64]
		if err := back.UnmarshalText(text); err != nil || back != test.value {
			t.Errorf("%q is read as %#v, %v; want %#v", text, back, err, test.value)
		}
	}
	for _, bad := range []string{"x", "NaN", "Inf", "-Inf", "1e999", " 1", "1,5", "0x"} {
		back := Some(7.0)
		if err := back.UnmarshalText([]byte(bad)); err == nil || back.Known() {
			t.Errorf("%q is read as %#v, %v; want an error and no number", bad, back, err)
		}
	}
	var n Opt[int64]
	if err := n.UnmarshalText([]byte("9007199254740993")); err != nil || n.Or(0) != 9007199254740993 {
		t.Errorf("a large integer is read as %v, %v", n, err)
	}
	if err := n.UnmarshalText([]byte("1.5")); err == nil {
		t.Error("1.5 is read as an integer")
	}
}

func TestFiniteDropsNaNAndInf(t *testing.T) {
	zero := 0.0
	for _, v := range []float64{1 / zero, -1 / zero, zero / zero} {
		if Finite(v).Known() {
			t.Errorf("Finite(%v) is known", v)
		}
	}
	if v, ok := Finite(2).Get(); !ok || v != 2 {
		t.Errorf("Finite(2) = %v, %v", v, ok)
	}
}

func TestSamplesText(t *testing.T) {
	s := Samples{0.25, 1e-9, 3}
	text, err := s.MarshalText()
	if err != nil || string(text) != "0.25;1e-09;3" {
		t.Fatalf("written as %q, %v", text, err)
	}
	var back Samples
	if err := back.UnmarshalText(text); err != nil || !slices.Equal(back, s) {
		t.Errorf("read as %v, %v", back, err)
	}
	for _, bad := range []string{";", "1;", "1;;2", "1;x", "1,2", "NaN"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, back)
		}
	}
}

func TestOpTimesText(t *testing.T) {
	ops := OpTimes{{"linear.forward", 0.125, 1e9, 4e6}, {"all-reduce", 1e-9, 0, 0.5}}
	text, err := ops.MarshalText()
	if err != nil || string(text) != "linear.forward:0.125:1e+09:4e+06;all-reduce:1e-09:0:0.5" {
		t.Fatalf("written as %q, %v", text, err)
	}
	var back OpTimes
	if err := back.UnmarshalText(text); err != nil || !slices.Equal(back, ops) {
		t.Errorf("read as %v, %v", back, err)
	}
	if err := back.UnmarshalText(nil); err != nil || back != nil {
		t.Errorf("an empty cell is read as %v, %v", back, err)
	}
	for _, bad := range []string{";", "a", "a:1:2", "a:1:2:3:4", "a:1:2:3;", "a:x:2:3", "a:1:NaN:3", "a:1:2:Inf"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil || back != nil {
			t.Errorf("%q is read as %v, %v", bad, back, err)
		}
	}
}

// The waterfall lists every part in order, and nothing where one was not measured.
func TestWaterfall(t *testing.T) {
	row := okRow()
	parts := row.Waterfall()
	var names []string
	sum := 0.0
	for _, p := range parts {
		names = append(names, p.Column)
		sum += p.Seconds
	}
	var columns []string
	for _, c := range Columns() {
		if strings.HasPrefix(c, "wf_") {
			columns = append(columns, c)
		}
	}
	if !slices.Equal(names, columns) || math.Abs(sum-0.25) > 1e-12 {
		t.Errorf("parts %v, which add up to %g; want %v and 0.25", names, sum, columns)
	}
	row.WFHostS = Opt[float64]{}
	if parts := row.Waterfall(); parts != nil {
		t.Errorf("parts %v without one of them", parts)
	}
	row = okRow()
	row.WFIdealS = Opt[float64]{} // no peak was measured: products keep their whole time
	row.WFMatmulS = Some(0.2)
	if err := row.Validate(); err != nil || len(row.Waterfall()) != len(columns)-1 {
		t.Errorf("without an ideal: %v, %v", row.Waterfall(), err)
	}
}
