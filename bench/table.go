package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"ofpeak/results"
	"ofpeak/results/render"
)

// column is one column of the table that ends a run.
type column struct {
	name  string
	right bool
	cell  func(results.Row) string
}

var columns = []column{
	{"technique", false, func(r results.Row) string { return string(r.Technique) }},
	{"precision", false, func(r results.Row) string { return string(r.Precision) }},
	{"model", false, func(r results.Row) string { return results.ModelOf(r.Case) }},
	{"what", false, func(r results.Row) string {
		return strings.Join(results.Words(r.Case, "technique", "precision", "model", "seed", "device"), " ")
	}},
	{"step", true, func(r results.Row) string { return format(r.StepMedianS, duration) }},
	{"±%", true, precision},
	{"tokens/s", true, func(r results.Row) string { return format(r.TokensPerS, count) }},
	{"TFLOPS", true, func(r results.Row) string { return format(r.TFLOPSPerDevice, digits) }},
	{"survey%", true, func(r results.Row) string { return format(r.ShareSurveyPct, percent) }},
	{"vendor%", true, func(r results.Row) string { return format(r.ShareVendorPct, percent) }},
	{"measured%", true, func(r results.Row) string { return format(r.ShareMeasuredPct, percent) }},
	{"speed-up", true, func(r results.Row) string { return format(r.SpeedupVsBaseline, ratio) }},
	{"scaling", true, func(r results.Row) string { return format(r.ScalingEfficiency, ratio) }},
	{"loss", true, func(r results.Row) string { return format(r.FinalLoss, digits) }},
	{"status", false, func(r results.Row) string { return string(r.Status) }},
}

// leastFirst are the columns that a narrow terminal can do without, those first that say least at a glance.
var leastFirst = []string{"loss", "TFLOPS", "survey%", "vendor%", "±%", "tokens/s", "scaling", "model", "speed-up", "step"}

// colours of the statuses, by ANSI's numbers: green, faint, yellow, bold red.
var colours = map[results.Status]string{results.OK: "32", results.Skipped: "2", results.Suspect: "33", results.Failed: "1;31", results.Wrong: "1;31"}

// paint puts a status into its colour.
func paint(column, cell string) string {
	code, ok := colours[results.Status(strings.TrimSpace(cell))]
	if column != "status" || !ok {
		return cell
	}
	return "\x1b[" + code + "m" + cell + "\x1b[0m"
}

// writeTable prints the rows, as wide as the terminal, and below them why some are not ok.
func writeTable(w io.Writer, rows []results.Row) error {
	var t render.Table
	for i, c := range columns {
		t.Header = append(t.Header, c.name)
		if c.right {
			t.Right = append(t.Right, i)
		}
	}
	var notes []string
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = c.cell(row)
		}
		t.Rows = append(t.Rows, cells)
		if row.Reason != "" {
			notes = append(notes, fmt.Sprintf("%s: %s: %s", row.Status, row.Case, brief(row.Reason)))
		}
	}
	if render.Colored(w) {
		t.Paint = paint
	}
	width := render.Width(w)
	narrow, left := t.DropEmpty().Narrow(width, leastFirst...)
	if err := narrow.Write(w, render.Text, width); err != nil {
		return err
	}
	if len(left) > 0 {
		notes = slices.Insert(notes, 0, "left out for want of width, and in the CSV: "+strings.Join(left, ", "))
	}
	for i, note := range notes {
		notes[i] = "\n" + render.Wrap(note, width, "  ")
	}
	if len(notes) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(w, strings.Join(notes, ""))
	return err
}

// brief cuts a reason that holds a whole stack; the CSV has all of it.
func brief(reason string) string {
	const most = 160
	if r := []rune(reason); len(r) > most {
		return string(r[:most]) + "… (see the CSV)"
	}
	return reason
}

// precision is half the interval of the median in percent of it.
func precision(r results.Row) string {
	low, ok := r.StepCILowS.Get()
	if !ok {
		return ""
	}
	return percent((r.StepCIHighS.Or(low) - low) / 2 / r.StepMedianS.Or(1) * 100)
}

func format(v results.Opt[float64], how func(float64) string) string {
	if x, ok := v.Get(); ok {
		return how(x)
	}
	return ""
}

func percent(v float64) string { return fmt.Sprintf("%.1f", v) }
func ratio(v float64) string   { return fmt.Sprintf("%.2f", v) }
func count(v float64) string   { return fmt.Sprintf("%.0f", v) }

// digits has three of them, or all before the point.
func digits(v float64) string {
	if v >= 100 {
		return count(v)
	}
	return fmt.Sprintf("%.3g", v)
}

// duration has three digits and a unit.
func duration(seconds float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1, "s"}, {1e-3, "ms"}} {
		if seconds >= u.size {
			return digits(seconds/u.size) + " " + u.name
		}
	}
	return digits(seconds/1e-6) + " µs"
}
