package chips

import (
	"fmt"
	"io"
	"strings"

	"ofpeak/results"
	"ofpeak/results/render"
)

// Line sets the survey's figure of one chip and type beside the vendor's. Rates are in 10^12 operations per second.
type Line struct {
	Chip        string
	Type        string
	Survey      results.Opt[float64]
	SurveyBasis string
	Dense       results.Opt[float64]
	Sparse24    results.Opt[float64]
	SurveyRatio results.Opt[float64] // survey / dense: how far the survey's figure is from what dense work can reach
	Scope       string
	Confidence  string
	Source      string
	Notes       []string
}

// Lines are the figures of the survey's two types for every chip.
func (t Table) Lines() []Line {
	var lines []Line
	for _, c := range t {
		for _, m := range []struct {
			name                  string
			survey, dense, sparse results.Opt[float64]
		}{{"FP16", c.SurveyFP16, c.FP16, c.SparseFP16}, {"INT8", c.SurveyINT8, c.INT8, c.SparseINT8}} {
			line := Line{Chip: c.Name, Type: m.name, Survey: m.survey, Dense: m.dense, Sparse24: m.sparse, Scope: c.Scope, Confidence: c.Confidence,
				Source: c.Source, Notes: c.Notes()}
			if survey, ok := m.survey.Get(); ok {
				line.SurveyBasis = c.SurveyBasis
				if dense, ok := m.dense.Get(); ok {
					line.SurveyRatio = results.Some(survey / dense)
				}
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// Write writes the table: as text and Markdown with the notes below, as CSV with a column for them.
func (t Table) Write(w io.Writer, f render.Format, width int) error {
	if f == render.CSV {
		return t.csv().Write(w, f, width)
	}
	if f == render.Markdown {
		width = 0
	}
	summary, left := t.summary().Narrow(width, "survey/dense", "vendor 2:4", "survey counts")
	if err := summary.Write(w, f, width); err != nil {
		return err
	}
	about := "Rates in TFLOPS (INT8: TOPS). Empty: no published figure."
	if len(left) > 0 {
		about += " Left out for want of width: " + strings.Join(left, ", ") + "."
	}
	fmt.Fprintf(w, "\n%s\n", render.Wrap(about+" Notes:", width, ""))
	if f == render.Markdown {
		fmt.Fprintln(w)
	}
	for _, c := range t {
		if notes := c.Notes(); len(notes) > 0 {
			fmt.Fprintln(w, render.Wrap("- "+c.Name+": "+strings.Join(notes, "; ")+".", width, "  "))
		}
	}
	return nil
}

func (t Table) summary() render.Table {
	out := render.Table{
		Header: []string{"chip", "type", "survey", "survey counts", "vendor dense", "vendor 2:4", "survey/dense"},
		Right:  []int{2, 4, 5, 6},
	}
	for _, l := range t.Lines() {
		basis := l.SurveyBasis
		if i := strings.Index(basis, ";"); i >= 0 {
			basis = basis[:i] // the notes have the rest
		}
		out.Rows = append(out.Rows, []string{l.Chip, l.Type, rate(l.Survey), basis, rate(l.Dense), rate(l.Sparse24), ratio(l.SurveyRatio)})
	}
	return out
}

func (t Table) csv() render.Table {
	out := render.Table{Header: []string{"chip", "type", "survey_tops", "survey_basis", "vendor_dense_tops", "vendor_sparse24_tops", "survey_over_dense",
		"scope", "confidence", "source", "notes"}}
	for _, l := range t.Lines() {
		out.Rows = append(out.Rows, []string{l.Chip, l.Type, rate(l.Survey), l.SurveyBasis, rate(l.Dense), rate(l.Sparse24), ratio(l.SurveyRatio),
			l.Scope, l.Confidence, l.Source, strings.Join(l.Notes, "; ")})
	}
	return out
}

func rate(v results.Opt[float64]) string {
	if r, ok := v.Get(); ok {
		return number(r)
	}
	return ""
}

func ratio(v results.Opt[float64]) string {
	if r, ok := v.Get(); ok {
		return fmt.Sprintf("%.2f", r)
	}
	return ""
}

// WriteDetail writes everything known of one chip.
func (c Chip) WriteDetail(w io.Writer, f render.Format, width int) error {
	out := render.Table{Header: []string{"type", "figure", "basis"}}
	add := func(dtype string, figure Figure, ok bool) {
		if ok {
			out.Rows = append(out.Rows, []string{strings.ToUpper(dtype), number(figure.TOPS) + " " + unit(dtype), figure.Basis})
		}
	}
	for _, dtype := range []string{"fp32", "tf32", "fp16", "bf16", "fp8", "int8"} {
		survey, ok := c.Survey(dtype)
		add(dtype, survey, ok)
		for _, sparse := range []bool{false, true} {
			vendor, ok := c.Vendor(dtype, sparse)
			add(dtype, vendor, ok)
		}
	}
	if v, ok := c.MemTBPerS.Get(); ok {
		out.Rows = append(out.Rows, []string{"memory", number(v) + " TB/s", c.Name + " vendor memory bandwidth"})
	}
	if f == render.CSV {
		return out.Write(w, f, width)
	}
	if f == render.Markdown {
		width = 0
	}
	fmt.Fprintf(w, "%s %s\n\n", c.Maker, c.Name)
	if err := out.Write(w, f, width); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nThe vendor's figures count: %s\nConfidence: %s\n%s\n", c.Scope, c.Confidence, render.Wrap("Source: "+c.Source, width, "  "))
	for _, note := range c.Notes() {
		fmt.Fprintln(w, render.Wrap("Note: "+note+".", width, "  "))
	}
	return nil
}
