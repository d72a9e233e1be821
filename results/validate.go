package results

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ColumnError says what is wrong in one column of a row.
type ColumnError struct {
	Column string
	Err    error
}

func (e *ColumnError) Error() string { return "column " + e.Column + ": " + e.Err.Error() }

func (e *ColumnError) Unwrap() error { return e.Err }

func columnErrorf(column, format string, args ...any) error {
	return &ColumnError{column, fmt.Errorf(format, args...)}
}

// Validate returns the first thing (a *ColumnError) that makes the row one that must not be written or believed, or nil.
func (r *Row) Validate() error {
	checks := []func() error{r.checkIdentity, r.checkCells, r.checkStatus, r.checkMeasurement, r.checkShares, r.checkSimulated, r.checkWaterfall, r.checkOps}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Row) checkIdentity() error {
	if r.Schema < 1 || r.Schema > SchemaVersion {
		return columnErrorf("schema", "%d is not from 1 to %d", r.Schema, SchemaVersion)
	}
	if r.Case == "" {
		return columnErrorf("case", "is empty")
	}
	enums := []struct {
		column string
		err    error
	}{
		{"technique", checkEnum(r.Technique, Techniques)},
		{"precision", checkEnum(r.Precision, Precisions)},
		{"pass", checkEnum(r.Pass, passes)},
		{"device", checkEnum(r.Device, deviceKinds)},
		{"status", checkEnum(r.Status, statuses)},
	}
	for _, e := range enums {
		if e.err != nil {
			return &ColumnError{e.column, e.err}
		}
	}
	sizes := []struct {
		column string
		n      int
	}{{"c", r.C}, {"nh", r.NH}, {"t", r.T}, {"l", r.L}, {"b", r.B}, {"dp", r.DP}, {"tp", r.TP}, {"pp", r.PP}, {"ranks", r.Ranks}}
	for _, s := range sizes {
		if s.n < 1 {
			return columnErrorf(s.column, "%d is less than 1", s.n)
		}
	}
	if r.UTCTime.IsZero() {
		return columnErrorf("utc_time", "is empty")
	}
	if _, offset := r.UTCTime.Zone(); offset != 0 {
		return columnErrorf("utc_time", "is not in UTC")
	}
	return nil
}

// signed are the numbers that may be below zero.
var signed = map[string]bool{"loss_first": true, "loss_last": true, "final_loss": true, "final_loss_baseline": true,
	"wf_matmul_s": true, "wf_attention_s": true}

// checkCells checks every number for being finite and not negative, and every text for being one line.
func (r *Row) checkCells() error {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		column := v.Type().Field(i).Tag.Get("csv")
		var err error
		switch cell := v.Field(i).Interface().(type) {
		case Opt[float64]:
			err = checkNumber(cell.Or(0), signed[column])
		case Opt[int64]:
			err = checkNumber(float64(cell.Or(0)), false)
		case Opt[int]:
			err = checkNumber(float64(cell.Or(0)), false)
		case string:
			err = checkLine(cell)
		}
		if err != nil {
			return &ColumnError{column, err}
		}
	}
	return nil
}

func checkNumber(v float64, signed bool) error {
	switch {
	case !isFinite(v):
		return errors.New("is not finite; leave it empty (results.Finite) and say so in reason")
	case v < 0 && !signed:
		return fmt.Errorf("%v is negative", v)
	}
	return nil
}

func checkLine(s string) error {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New(quote(s) + " holds a line break or another control character")
	}
	return nil
}

// checkStatus checks that only numbers that can be trusted stand in the row.
func (r *Row) checkStatus() error {
	if r.Status != OK && r.Reason == "" {
		return columnErrorf("reason", "is empty, but the status is %s", r.Status)
	}
	why := ""
	switch {
	case r.Status == Skipped || r.Status == Failed || r.Status == Wrong:
		why = "a row with status " + string(r.Status)
	case r.Device == Sim:
		why = "a simulated device"
	default:
		return nil
	}
	for _, p := range r.performance() {
		if p.value.Known() {
			return columnErrorf(p.column, "must be empty for %s", why)
		}
	}
	return nil
}

func (r *Row) checkMeasurement() error {
	if n := len(r.StepSamplesS); n > 0 && r.SampleCount.Or(0) != n {
		return columnErrorf("samples", "%d does not equal the %d values of step_samples_s", r.SampleCount.Or(0), n)
	}
	for _, s := range r.StepSamplesS {
		if !isFinite(s) || s <= 0 {
			return columnErrorf("step_samples_s", "%v is not a time", s)
		}
	}
	median, ok := r.StepMedianS.Get()
	if !ok {
		if r.TokensPerS.Known() {
			return columnErrorf("step_median_s", "is empty, but tokens_per_s is not")
		}
		return nil
	}
	if r.StepCILowS.Or(median) > median || r.StepCIHighS.Or(median) < median {
		return columnErrorf("step_median_s", "%v lies outside its interval", median)
	}
	return nil
}

func (r *Row) checkShares() error {
	for _, s := range r.shares() {
		if (s.share.Known() || s.hfu.Known()) && *s.basis == "" {
			return columnErrorf(s.name+"_basis", "is empty, but the share is not")
		}
	}
	if column, over := r.shareOver100(); over && (r.Status == OK || r.Status == Imported) {
		return columnErrorf(column, "is over 100 %%, which no row with status %s may have", r.Status)
	}
	return nil
}

// Settle gives the row its final status and removes what that status, or a simulated device, must not carry: throughput, shares of peak and speed-ups
// stay only for OK, Suspect and Imported, and no time of a simulated device. An OK row with a share over 100 % becomes Suspect. The reason becomes one line.
func (r *Row) Settle(status Status, reason string) {
	r.Status, r.Reason = status, oneLine(reason)
	if column, over := r.shareOver100(); over && status == OK {
		r.Status, r.Reason = Suspect, column+" is over 100 %: the peak, the FLOP count or the time is wrong"
	}
	if r.Device != Sim && (r.Status == OK || r.Status == Suspect || r.Status == Imported) {
		return
	}
	for _, p := range r.performance() {
		*p.value = Opt[float64]{}
	}
	for _, s := range r.shares() {
		*s.basis = ""
	}
	if r.Device == Sim {
		r.forgetTimes()
	}
}

// oneLine makes any text fit for a cell: an error message or the output of a crash may hold anything.
func oneLine(s string) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	return strings.Join(words, " ")
}

// shareOver100 names the first share of peak that is over 100 %.
func (r *Row) shareOver100() (column string, over bool) {
	for _, s := range r.shares() {
		switch {
		case s.share.Or(0) > 100:
			return s.name + "_pct", true
		case s.hfu.Or(0) > 100:
			return strings.Replace(s.name, "share", "hfu", 1) + "_pct", true
		}
	}
	return "", false
}

type share struct {
	name       string
	share, hfu *Opt[float64]
	basis      *string
}

func (r *Row) shares() []share {
	return []share{
		{"share_survey", &r.ShareSurveyPct, &r.HFUSurveyPct, &r.ShareSurveyBasis},
		{"share_vendor", &r.ShareVendorPct, &r.HFUVendorPct, &r.ShareVendorBasis},
		{"share_measured", &r.ShareMeasuredPct, &r.HFUMeasuredPct, &r.ShareMeasuredBasis},
	}
}

type cell struct {
	column string
	value  *Opt[float64]
}

// performance are the columns that only a trusted row may carry.
func (r *Row) performance() []cell {
	return []cell{
		{"tokens_per_s", &r.TokensPerS},
		{"tflops_total", &r.TFLOPSTotal},
		{"tflops_per_device", &r.TFLOPSPerDevice},
		{"executed_tflops_per_device", &r.ExecutedTFLOPSPerDevice},
		{"dense_equiv_tflops_per_device", &r.DenseEquivTFLOPSPerDevice},
		{"share_survey_pct", &r.ShareSurveyPct},
		{"hfu_survey_pct", &r.HFUSurveyPct},
		{"share_vendor_pct", &r.ShareVendorPct},
		{"hfu_vendor_pct", &r.HFUVendorPct},
		{"share_measured_pct", &r.ShareMeasuredPct},
		{"hfu_measured_pct", &r.HFUMeasuredPct},
		{"speedup_vs_baseline", &r.SpeedupVsBaseline},
		{"scaling_efficiency", &r.ScalingEfficiency},
	}
}
