package compare

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/results/render"
)

var csvHeader = []string{"verdict", "technique", "precision", "model", "case", "base_file", "base_line", "file", "line",
	"base_tokens_per_s", "tokens_per_s", "ratio", "ratio_ci_low", "ratio_ci_high", "p", "base_samples", "samples",
	"base_share_survey_pct", "share_survey_pct", "base_share_vendor_pct", "share_vendor_pct", "base_share_measured_pct", "share_measured_pct", "note"}

// csv has one line per pair, then one per refused row (verdict REFUSED) and per row that is not ok (verdict NOT_OK), whose cells of the other side are empty.
// Numbers are not rounded.
func (t *Table) csv() render.Table {
	out := render.Table{Header: csvHeader}
	for _, p := range t.Pairs {
		b, o := p.Base.Row, p.Other.Row
		out.Rows = append(out.Rows, []string{string(p.Verdict), string(b.Technique), string(b.Precision), b.Model, b.Case,
			t.Files[p.Base.File].Path, fmt.Sprint(p.Base.Line), t.Files[p.Other.File].Path, fmt.Sprint(p.Other.Line),
			b.TokensPerS.String(), o.TokensPerS.String(), fmt.Sprint(p.Ratio.Center), p.Ratio.Low.String(), p.Ratio.High.String(), fmt.Sprint(p.Ratio.P),
			fmt.Sprint(p.Ratio.NX), fmt.Sprint(p.Ratio.NY),
			b.ShareSurveyPct.String(), o.ShareSurveyPct.String(), b.ShareVendorPct.String(), o.ShareVendorPct.String(),
			b.ShareMeasuredPct.String(), o.ShareMeasuredPct.String(), strings.Join(p.Notes, "; ")})
	}
	for _, r := range t.Refused {
		out.Rows = append(out.Rows, t.lone("REFUSED", r.Ref, "with "+t.Files[r.With].Path+": "+r.Reason))
	}
	for _, n := range t.NotOK {
		out.Rows = append(out.Rows, t.lone("NOT_OK", n.Ref, n.Reason))
	}
	return out
}

// lone is a line for one row without a partner.
func (t *Table) lone(verdict string, r Ref, note string) []string {
	line := make([]string, len(csvHeader))
	copy(line, []string{verdict, string(r.Row.Technique), string(r.Row.Precision), r.Row.Model, r.Row.Case})
	at := slices.Index(csvHeader, "file")
	if r.File == 0 {
		at = slices.Index(csvHeader, "base_file")
	}
	line[at], line[at+1] = t.Files[r.File].Path, fmt.Sprint(r.Line)
	line[len(line)-1] = note
	return line
}
