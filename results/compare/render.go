package compare

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"ofpeak/results"
	"ofpeak/results/render"
)

// Write writes the comparison. Text and Markdown have a legend, one table and lists of what was not compared; CSV is one table with all of it.
func (t *Table) Write(w io.Writer, f render.Format, width int) error {
	if f == render.CSV {
		return t.csv().Write(w, f, width)
	}
	if f == render.Markdown {
		width = 0
	}
	d := document{w: w, format: f, width: width}
	d.list("Files", t.legend())
	if len(t.Pairs) > 0 {
		d.table(t.sideBySide(width))
	}
	d.paragraph(t.summary())
	if len(t.Pairs) > 1 {
		d.paragraph("Geometric means over the base: speed / share of peak (pairs)")
		d.table(t.Matrix(t.Options.rowKeys(), t.Options.colKeys()).table())
	}
	d.list("Outliers, far from the others of their technique", t.outliers())
	d.list("What the shares divide by", t.bases())
	d.list("Notes", t.notes())
	d.list("Not compared", t.refusals())
	d.list("Not ok", t.failures())
	return d.err
}

// letter names a file in tables: A is the base.
func letter(file int) string {
	if file < 26 {
		return string(rune('A' + file))
	}
	return fmt.Sprintf("F%d", file+1)
}

// legend has one line per file.
func (t *Table) legend() []string {
	var out []string
	for i, f := range t.Files {
		s := letter(i) + " " + f.Path
		if i == 0 {
			s += " (base)"
		}
		if len(f.Rows) > 0 {
			r := f.Rows[0]
			s += fmt.Sprintf(": %s, %s %s", orUnknown(r.Host), r.Device, orUnknown(r.DeviceName))
			if r.Commit != "" {
				s += ", commit " + results.ShortCommit(r.Commit)
			}
			s += ", " + r.UTCTime.Format("2006-01-02 15:04")
		}
		out = append(out, s)
	}
	return out
}

// label is a row's case in words.
func label(r *results.Row) string { return strings.Join(results.Words(r.Case), " ") }

// sideBySide has one line per case and file, the base's first. Too narrow a terminal costs it the samples, then the p-values, which the verdicts hold, then the shares.
func (t *Table) sideBySide(width int) render.Table {
	out := render.Table{
		Header: []string{"case", "file", "tokens/s", "survey %", "vendor %", "meas. %", "ratio", "95% CI", "p", "n", "verdict"},
		Right:  []int{2, 3, 4, 5, 6, 7, 8, 9},
	}
	for i, p := range t.Pairs {
		if i == 0 || t.Pairs[i-1].Base != p.Base {
			out.Rows = append(out.Rows, slices.Concat([]string{label(p.Base.Row)}, speed(p.Base), []string{"", "", "", fmt.Sprint(p.Ratio.NX), ""}))
		}
		out.Rows = append(out.Rows, slices.Concat([]string{""}, speed(p.Other), []string{
			factor(p.Ratio.Center), interval(p), probability(p.Ratio.P), fmt.Sprint(p.Ratio.NY), string(p.Verdict)}))
	}
	out, _ = out.DropEmpty().Narrow(width, "n", "p", "survey %", "vendor %", "meas. %")
	return out
}

func speed(r Ref) []string {
	return []string{letter(r.File), significant(r.Row.TokensPerS), percent(r.Row.ShareSurveyPct), percent(r.Row.ShareVendorPct), percent(r.Row.ShareMeasuredPct)}
}

func interval(p Pair) string {
	low, ok := p.Ratio.Low.Get()
	if !ok {
		return ""
	}
	return factor(low) + "–" + factor(p.Ratio.High.Or(low))
}

// factor shows per mille of a ratio near one, and fewer decimals of a large one.
func factor(v float64) string {
	if v >= 10 {
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func probability(p float64) string {
	if p < 0.001 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}

// significant rounds to four digits.
func significant(v results.Opt[float64]) string {
	x, ok := v.Get()
	if !ok {
		return ""
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 3, 64), 64)
	if err != nil {
		panic("compare: a formatted number does not parse")
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

func percent(v results.Opt[float64]) string {
	x, ok := v.Get()
	switch {
	case !ok:
		return ""
	case x < 1:
		return fmt.Sprintf("%.2g", x) // a small share is not none
	}
	return fmt.Sprintf("%.1f", x)
}

// summary counts the verdicts.
func (t *Table) summary() string {
	counts := map[Verdict]int{}
	for _, p := range t.Pairs {
		counts[p.Verdict]++
	}
	var parts []string
	for _, v := range []Verdict{Same, Faster, Slower, Unclear} {
		parts = append(parts, fmt.Sprintf("%d %s", counts[v], v))
	}
	return fmt.Sprintf("%d compared: %s (threshold %g %%, confidence 95 %%); %d not compared, %d not ok.",
		len(t.Pairs), strings.Join(parts, ", "), t.Options.ThresholdPct, len(t.Refused), len(t.NotOK))
}

// bases says once what the shares divide by.
func (t *Table) bases() []string {
	var out []string
	for _, p := range t.Pairs {
		for _, r := range []*results.Row{p.Base.Row, p.Other.Row} {
			for _, basis := range []string{r.ShareSurveyBasis, r.ShareVendorBasis, r.ShareMeasuredBasis} {
				if basis != "" && !slices.Contains(out, basis) {
					out = append(out, basis)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func (t *Table) notes() []string {
	var out []string
	for _, f := range t.Files {
		out = append(out, f.Warnings...)
	}
	for _, p := range t.Pairs {
		if len(p.Notes) > 0 {
			out = append(out, fmt.Sprintf("%s, %s: %s", label(p.Base.Row), letter(p.Other.File), strings.Join(p.Notes, "; ")))
		}
	}
	return out
}

func (t *Table) outliers() []string {
	var out []string
	for _, p := range t.Outliers() {
		out = append(out, fmt.Sprintf("%s, %s: %s", label(p.Base.Row), letter(p.Other.File), factor(p.Ratio.Center)))
	}
	return out
}

// each is up to how many rows of a file are named that another refuses for one reason. Two suites may share no case at all.
const each = 6

// refusals has a line for each row, or for many that are refused for the same reason.
func (t *Table) refusals() []string {
	type kind struct {
		file, with int
		reason     string
	}
	rows := map[kind][]Refusal{}
	for _, r := range t.Refused {
		k := kind{r.File, r.With, r.Reason}
		rows[k] = append(rows[k], r)
	}
	var out []string
	for _, r := range t.Refused {
		alike := rows[kind{r.File, r.With, r.Reason}]
		switch last := alike[len(alike)-1]; {
		case len(alike) <= each:
			out = append(out, fmt.Sprintf("%s %s, with %s: %s", t.place(r.Ref), label(r.Row), letter(r.With), r.Reason))
		case r.Line == alike[0].Line:
			out = append(out, fmt.Sprintf("%s to %d, %d rows, with %s: %s (--format csv names each)", t.place(r.Ref), last.Line, len(alike), letter(r.With), r.Reason))
		}
	}
	return out
}

func (t *Table) failures() []string {
	var out []string
	for _, n := range t.NotOK {
		s := fmt.Sprintf("%s %s: %s", t.place(n.Ref), label(n.Row), n.Reason)
		if n.Lost {
			s += " (ok in A)"
		}
		out = append(out, s)
	}
	return out
}

func (t *Table) place(r Ref) string {
	return fmt.Sprintf("%s:%d", filepath.Base(t.Files[r.File].Path), r.Line)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
