package results

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	if row := okRow(); row.Validate() != nil {
		t.Fatalf("the valid row: %v", row.Validate())
	}
	tests := []struct {
		name   string
		change func(*Row)
		column string
	}{
		{"newer schema", func(r *Row) { r.Schema = SchemaVersion + 1 }, "schema"},
		{"no schema", func(r *Row) { r.Schema = 0 }, "schema"},
		{"no case", func(r *Row) { r.Case = "" }, "case"},
		{"case of two lines", func(r *Row) { r.Case = "a\nb" }, "case"},
		{"invalid UTF-8", func(r *Row) { r.Host = "\xff" }, "host"},
		{"unknown technique", func(r *Row) { r.Technique = "magic" }, "technique"},
		{"unknown precision", func(r *Row) { r.Precision = "fp12" }, "precision"},
		{"unknown pass", func(r *Row) { r.Pass = "" }, "pass"},
		{"unknown device", func(r *Row) { r.Device = "tpu" }, "device"},
		{"unknown status", func(r *Row) { r.Status = "fine" }, "status"},
		{"zero ranks", func(r *Row) { r.Ranks = 0 }, "ranks"},
		{"no time", func(r *Row) { r.UTCTime = time.Time{} }, "utc_time"},
		{"local time", func(r *Row) { r.UTCTime = r.UTCTime.In(time.FixedZone("x", 3600)) }, "utc_time"},
		{"not ok without reason", func(r *Row) { *r = notOK(Skipped); r.Reason = "" }, "reason"},
		{"NaN", func(r *Row) { r.MaxRelError = Some(math.NaN()) }, "max_rel_error"},
		{"infinite", func(r *Row) { r.FinalLoss = Some(math.Inf(1)) }, "final_loss"},
		{"negative", func(r *Row) { r.CommBytes = Some[int64](-1) }, "comm_bytes"},
		{"sample count", func(r *Row) { r.SampleCount = Some(4) }, "samples"},
		{"zero time", func(r *Row) { r.StepSamplesS[1] = 0 }, "step_samples_s"},
		{"throughput without time", func(r *Row) { r.StepMedianS = Opt[float64]{} }, "step_median_s"},
		{"median below its interval", func(r *Row) { r.StepMedianS = Some(0.2) }, "step_median_s"},
		{"median above its interval", func(r *Row) { r.StepMedianS = Some(0.3) }, "step_median_s"},
		{"share without basis", func(r *Row) { r.ShareVendorPct = Some(1.0) }, "share_vendor_basis"},
		{"share over 100", func(r *Row) { r.ShareMeasuredPct = Some(100.1) }, "share_measured_pct"},
		{"executed share over 100", func(r *Row) { r.HFUMeasuredPct = Some(101.0) }, "hfu_measured_pct"},
		{"wrong with throughput", func(r *Row) { r.Status, r.Reason = Wrong, "x" }, "tokens_per_s"},
		{"skipped with speed-up", func(r *Row) { *r = notOK(Skipped); r.SpeedupVsBaseline = Some(1.0) }, "speedup_vs_baseline"},
		{"failed with share", func(r *Row) { *r = notOK(Failed); r.ShareVendorPct = Some(1.0) }, "share_vendor_pct"},
		{"waterfall without a part", func(r *Row) { r.WFHostS = Opt[float64]{} }, "wf_host_s"},
		{"waterfall without step", func(r *Row) { r.ProfiledStepS = Opt[float64]{} }, "profiled_step_s"},
		{"waterfall that lacks time", func(r *Row) { r.WFMatmulS = Some(0.09) }, "wf_ideal_s"},
		{"waterfall with too much time", func(r *Row) { r.WFCommS = Some(0.06) }, "wf_ideal_s"},
		{"negative bubble", func(r *Row) { r.WFBubbleS = Some(-0.01) }, "wf_bubble_s"},
		{"operator without name", func(r *Row) { r.Ops[0].Name = "" }, "ops"},
		{"operator named twice", func(r *Row) { r.Ops[1].Name = r.Ops[0].Name }, "ops"},
		{"operator that ends before it starts", func(r *Row) { r.Ops[0].Seconds = -1 }, "ops"},
		{"operator of infinite work", func(r *Row) { r.Ops[0].FLOPs = math.Inf(1) }, "ops"},
		{"simulated with throughput", func(r *Row) { r.Device = Sim }, "tokens_per_s"},
		{"simulated with time", func(r *Row) { *r = simulated(); r.StepMedianS = Some(0.1) }, "step_median_s"},
		{"simulated with samples", func(r *Row) { *r = simulated(); r.SampleCount = Some(1) }, "samples"},
		{"simulated with a phase", func(r *Row) { *r = simulated(); r.ForwardS = Some(0.0) }, "forward_s"},
		{"simulated with operators", func(r *Row) { *r = simulated(); r.Ops = okRow().Ops }, "ops"},
	}
	for _, test := range tests {
		row := okRow()
		test.change(&row)
		err := row.Validate()
		var column *ColumnError
		if !errors.As(err, &column) || column.Column != test.column {
			t.Errorf("%s: error %v; want one in column %s", test.name, err, test.column)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has more than one line: %q", test.name, err)
		}
	}
}

// simulated is a valid row of a simulated GPU.
func simulated() Row {
	row := okRow()
	row.Device = Sim
	row.Settle(OK, "")
	return row
}

// A simulated GPU's row keeps what was computed and moved, and no time.
func TestSimulatedRowsKeepResultsOnly(t *testing.T) {
	row := simulated()
	if err := row.Validate(); err != nil {
		t.Fatal(err)
	}
	if !row.MaxRelError.Known() || !row.CommBytes.Known() || !row.LossLast.Known() || row.UTCTime.IsZero() {
		t.Errorf("results are gone: %+v", row)
	}
	if row.StepSamplesS != nil || row.CommExposedS.Known() || row.TokensPerS.Known() || row.ProfiledStepS.Known() {
		t.Errorf("times are left: %+v", row)
	}
}

// notOK is a valid row that could not be measured.
func notOK(status Status) Row {
	row := okRow()
	row.Settle(status, "no such device")
	return row
}

func TestSettle(t *testing.T) {
	for _, status := range []Status{Skipped, Failed, Wrong} {
		row := notOK(status)
		if err := row.Validate(); err != nil {
			t.Errorf("%s: %v", status, err)
		}
		if row.TokensPerS.Known() || row.ShareMeasuredPct.Known() || row.ShareMeasuredBasis != "" {
			t.Errorf("%s: keeps its throughput or share", status)
		}
		if !row.StepMedianS.Known() || !row.MaxRelError.Known() {
			t.Errorf("%s: loses its time or error", status)
		}
	}
	row := okRow()
	row.ShareMeasuredPct = Some(104.0)
	row.Settle(OK, "")
	if row.Status != Suspect || !strings.Contains(row.Reason, "share_measured_pct is over 100 %") || !row.TokensPerS.Known() {
		t.Errorf("share over 100 %%: status %s, reason %q, tokens/s %v", row.Status, row.Reason, row.TokensPerS)
	}
	if err := row.Validate(); err != nil {
		t.Error(err)
	}
	row = okRow()
	row.Device = Sim
	row.Settle(OK, "")
	if row.Status != OK || row.TokensPerS.Known() || row.Validate() != nil {
		t.Errorf("simulated: status %s, tokens/s %v, %v", row.Status, row.TokensPerS, row.Validate())
	}
	row.Settle(Failed, "panic:\n\tindex out of\x1b\x00range \xff\r\n")
	if row.Reason != "panic: index out of range ?" {
		t.Errorf("reason %q", row.Reason)
	}
}
