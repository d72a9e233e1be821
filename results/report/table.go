package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ofpeak/results"
)

// table is one of the page's tables, which the page's script sorts and filters.
type table struct {
	ID      string
	Caption string
	Columns []column
	Rows    [][]cell
	Filters []filter
}

type column struct {
	Name   string
	Number bool   // aligned to the right, sorted by number
	Help   string // in a few words, or empty
}

// cell is a text and what it sorts by.
type cell struct {
	Text  string
	Value string // "": by text; rows without a number sort last
	Class string
}

// filter offers the values of a column.
type filter struct {
	Column int
	Name   string
	Values []string
}

// Lengths in characters from which on the texts of a column may be broken into lines, and from which on it gets room for them.
const longText, longestText = 24, 60

// Classes are the classes of a cell of a column.
func (t table) Classes(column int, c cell) string {
	classes := []string{}
	longest := 0
	for _, row := range t.Rows {
		longest = max(longest, utf8.RuneCountInString(row[column].Text))
	}
	switch {
	case t.Columns[column].Number:
		classes = append(classes, "number")
	case longest >= longestText:
		classes = append(classes, "prose")
	case longest >= longText:
		classes = append(classes, "wrap")
	}
	if c.Class != "" {
		classes = append(classes, c.Class)
	}
	return strings.Join(classes, " ")
}

// field makes a column of the table of all rows.
type field struct {
	column
	of func(*Entry) cell
}

func words(name string, of func(*Entry) string) field {
	return field{column{Name: name}, func(e *Entry) cell { return cell{Text: of(e)} }}
}

func numbers(name, help string, of func(*results.Row) results.Opt[float64], how func(float64) string) field {
	return field{column{name, true, help}, func(e *Entry) cell {
		v := of(e.Row)
		return cell{Text: show(v, how), Value: v.String()}
	}}
}

// halfInterval is half the interval of the median in percent of it.
func halfInterval(r *results.Row) results.Opt[float64] {
	low, ok := r.StepCILowS.Get()
	if !ok {
		return results.Opt[float64]{}
	}
	return results.Finite((r.StepCIHighS.Or(low) - low) / 2 / r.StepMedianS.Or(0) * 100)
}

// fields are the columns of the table of all rows.
var fields = []field{
	words("on", func(e *Entry) string { return e.Machine.Letter }),
	words("technique", func(e *Entry) string { return string(e.Row.Technique) }),
	words("precision", func(e *Entry) string { return string(e.Row.Precision) }),
	words("model", func(e *Entry) string { return results.ModelOf(e.Row.Case) }),
	words("case", (*Entry).What),
	{column{Name: "status"}, func(e *Entry) cell { return cell{Text: string(e.Row.Status), Class: "status-" + string(e.Row.Status)} }},
	numbers("step", "median", func(r *results.Row) results.Opt[float64] { return r.StepMedianS }, duration),
	numbers("± %", "half the 95 % interval", halfInterval, func(v float64) string { return fmt.Sprintf("%.1f", v) }),
	numbers("tokens/s", "", func(r *results.Row) results.Opt[float64] { return r.TokensPerS }, func(v float64) string { return digits(v, 4) }),
	numbers("TFLOPS", "per device, model FLOPs", func(r *results.Row) results.Opt[float64] { return r.TFLOPSPerDevice }, func(v float64) string { return digits(v, 3) }),
	numbers("measured %", "of the measured peak", func(r *results.Row) results.Opt[float64] { return r.ShareMeasuredPct }, plainPercent),
	numbers("vendor %", "of the vendor's figure", func(r *results.Row) results.Opt[float64] { return r.ShareVendorPct }, plainPercent),
	numbers("survey %", "of the survey's figure", func(r *results.Row) results.Opt[float64] { return r.ShareSurveyPct }, plainPercent),
	numbers("speed-up", "over the run's baseline", func(r *results.Row) results.Opt[float64] { return r.SpeedupVsBaseline }, func(v float64) string { return fmt.Sprintf("%.2f", v) }),
	numbers("scaling", "over one rank times ranks", func(r *results.Row) results.Opt[float64] { return r.ScalingEfficiency }, func(v float64) string { return fmt.Sprintf("%.2f", v) }),
	numbers("memory", "most of a rank", func(r *results.Row) results.Opt[float64] { return optional(r.PeakBytesPerRank) }, size),
	numbers("sent", "by a rank in a step", func(r *results.Row) results.Opt[float64] { return optional(r.CommBytes) }, size),
	numbers("loss", "of the training check", func(r *results.Row) results.Opt[float64] { return r.FinalLoss }, func(v float64) string { return digits(v, 3) }),
}

func plainPercent(v float64) string { return strings.TrimSuffix(percent(v), " %") }

// rowsTable has every row of every file, with the columns that any of them fills.
func (r *Report) rowsTable() table {
	t := table{ID: "rows", Caption: "Every row"}
	for _, f := range fields {
		t.Columns = append(t.Columns, f.column)
	}
	t.Columns = append(t.Columns, r.placeColumn())
	for _, m := range r.Machines {
		for _, e := range m.Entries {
			var line []cell
			for _, f := range fields {
				line = append(line, f.of(e))
			}
			t.Rows = append(t.Rows, append(line, cell{Text: r.place(e)}))
		}
	}
	t.filterBy("on", "technique", "precision", "model", "status")
	return t.dropEmpty()
}

// place is where a row stands: the file's number in the list of files, where there are several, and the line.
func (r *Report) place(e *Entry) string {
	if len(r.Files) == 1 {
		return fmt.Sprint(e.Line)
	}
	return fmt.Sprintf("%d:%d", e.File+1, e.Line)
}

func (r *Report) placeColumn() column {
	if len(r.Files) == 1 {
		return column{Name: "line", Help: "of the file"}
	}
	return column{Name: "file:line", Help: "the file's number in the list at the end of the page"}
}

// filterBy offers the values of the named columns.
func (t *table) filterBy(names ...string) {
	for i, c := range t.Columns {
		if !slices.Contains(names, c.Name) {
			continue
		}
		f := filter{Column: i, Name: c.Name}
		for _, row := range t.Rows {
			if s := row[i].Text; s != "" && !slices.Contains(f.Values, s) {
				f.Values = append(f.Values, s)
			}
		}
		if len(f.Values) > 1 {
			t.Filters = append(t.Filters, f)
		}
	}
}

// dropEmpty removes the columns that no row fills.
func (t table) dropEmpty() table {
	keep := make([]bool, len(t.Columns))
	moved := make([]int, len(t.Columns))
	kept := table{ID: t.ID, Caption: t.Caption, Rows: make([][]cell, len(t.Rows))}
	for c, col := range t.Columns {
		keep[c] = slices.ContainsFunc(t.Rows, func(row []cell) bool { return row[c].Text != "" })
		if !keep[c] {
			continue
		}
		moved[c] = len(kept.Columns)
		kept.Columns = append(kept.Columns, col)
		for i, row := range t.Rows {
			kept.Rows[i] = append(kept.Rows[i], row[c])
		}
	}
	for _, f := range t.Filters {
		if keep[f.Column] {
			f.Column = moved[f.Column]
			kept.Filters = append(kept.Filters, f)
		}
	}
	return kept
}

// matrixTable sets hardware against technique: the best share of the measured or the vendor's peak of each, and by which row.
func (r *Report) matrixTable() table {
	t := table{ID: "matrix", Caption: "Best share of peak, by hardware and technique", Columns: []column{{Name: "hardware"}, {Name: "of the peak"}}}
	for _, technique := range results.Techniques {
		t.Columns = append(t.Columns, column{Name: string(technique), Number: true})
	}
	for _, m := range r.Machines {
		entries := m.measured()
		for _, b := range known(entries) {
			line := []cell{{Text: m.Letter + " " + m.Title()}, {Text: b.name}}
			for _, technique := range results.Techniques {
				line = append(line, bestCell(entries, technique, b))
			}
			t.Rows = append(t.Rows, line)
		}
	}
	return t
}

func bestCell(entries []*Entry, technique results.Technique, b base) cell {
	of := slices.DeleteFunc(slices.Clone(entries), func(e *Entry) bool { return e.Row.Technique != technique })
	best, share := group{entries: of}.best(b)
	if best == nil {
		return cell{Text: "not measured", Class: "none"}
	}
	return cell{Text: percent(share), Value: fmt.Sprint(share)}
}

// claimsTable has the techniques' claims with the verdicts.
func (r *Report) claimsTable() table {
	t := table{ID: "claims", Caption: "What is claimed for each technique, and what was measured", Columns: []column{
		{Name: "technique"}, {Name: "claimed"}, {Name: "on"}, {Name: "verdict"}, {Name: "measured evidence"}, {Name: "what was set side by side"}}}
	for _, c := range r.Claims {
		t.Rows = append(t.Rows, []cell{{Text: string(c.Technique)}, {Text: c.Claimed}, {Text: c.Machine.Letter},
			{Text: string(c.Verdict), Class: "verdict-" + strings.ReplaceAll(string(c.Verdict), " ", "-")}, {Text: c.Evidence()}, {Text: c.Measure}})
	}
	t.filterBy("on", "verdict")
	return t
}

// costTable has the cost of 10^6 tokens for each priced training row, the cheapest first.
func (r *Report) costTable() table {
	t := table{ID: "cost", Caption: "Cost of a million tokens trained", Columns: []column{
		{Name: "on"}, {Name: "technique"}, {Name: "precision"}, {Name: "model"}, {Name: "case"}, {Name: "tokens/s", Number: true}, {Name: "currency"}, {Name: "per 10⁶ tokens", Number: true}}}
	var entries []*Entry
	for _, m := range r.Machines {
		for _, e := range m.Entries {
			if e.Cost.Known() && e.Row.Pass == results.Train {
				entries = append(entries, e)
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b *Entry) int { return better(a.Cost.Or(0), b.Cost.Or(0), true) })
	for _, e := range entries {
		t.Rows = append(t.Rows, []cell{{Text: e.Machine.Letter}, {Text: string(e.Row.Technique)}, {Text: string(e.Row.Precision)}, {Text: results.ModelOf(e.Row.Case)}, {Text: e.What()},
			{Text: show(e.Row.TokensPerS, func(v float64) string { return digits(v, 4) }), Value: e.Row.TokensPerS.String()},
			{Text: e.Machine.Price.Currency}, {Text: digits(e.Cost.Or(0), 3), Value: e.Cost.String()}})
	}
	t.filterBy("on", "technique", "model")
	return t
}

// noisyPct is the half interval above which a row's speed is called noisy: differences of that size cannot be told.
const noisyPct = 5

// notesTable has what to beware of in each row.
func (r *Report) notesTable() table {
	t := table{ID: "notes", Caption: "What to beware of", Columns: []column{{Name: "on"}, {Name: "row"}, {Name: "status"}, {Name: "note"}, r.placeColumn()}}
	for _, m := range r.Machines {
		for _, e := range m.Entries {
			for _, note := range notes(e.Row) {
				t.Rows = append(t.Rows, []cell{{Text: m.Letter}, {Text: e.Name()}, {Text: string(e.Row.Status), Class: "status-" + string(e.Row.Status)}, {Text: note}, {Text: r.place(e)}})
			}
		}
	}
	t.filterBy("on", "status")
	return t
}

// notes are what a row warns of.
func notes(r *results.Row) []string {
	var out []string
	if r.Reason != "" {
		out = append(out, r.Reason)
	}
	if v, ok := halfInterval(r).Get(); ok && v > noisyPct {
		out = append(out, fmt.Sprintf("noisy: the median is known to ± %.1f %%", v))
	}
	if r.TokensPerS.Known() && !r.StepCILowS.Known() {
		out = append(out, fmt.Sprintf("%d samples are too few for an interval", len(r.StepSamplesS)))
	}
	if r.Status == results.OK && !r.MaxRelError.Known() {
		out = append(out, "its numbers were not held against the reference")
	}
	if final, ok := r.FinalLoss.Get(); ok {
		if base, ok := r.FinalLossBaseline.Get(); ok && base > 0 && math.Abs(final-base)/base > 0.02 {
			out = append(out, fmt.Sprintf("the training check ended at loss %s, dense fp32 at %s", digits(final, 3), digits(base, 3)))
		}
	}
	return out
}

// environmentTable has what each run of each machine says of where it ran.
func (r *Report) environmentTable() table {
	t := table{ID: "environment", Caption: "Where the rows come from", Columns: []column{
		{Name: "on"}, {Name: "hardware"}, {Name: "chip table"}, {Name: "file"}, {Name: "rows", Number: true}, {Name: "system"}, {Name: "cores", Number: true},
		{Name: "commit"}, {Name: "Go"}, {Name: "libraries"}, {Name: "first row"}}}
	for _, m := range r.Machines {
		for i, f := range r.Files {
			rows := slices.DeleteFunc(slices.Clone(m.Entries), func(e *Entry) bool { return e.File != i })
			if len(rows) == 0 {
				continue
			}
			e := rows[0].Row
			t.Rows = append(t.Rows, []cell{{Text: m.Letter}, {Text: m.Title()}, {Text: m.Chip}, {Text: f.Path}, {Text: fmt.Sprint(len(rows)), Value: fmt.Sprint(len(rows))},
				{Text: e.OSArch}, {Text: e.CoresUsed.String(), Value: e.CoresUsed.String()}, {Text: results.ShortCommit(e.Commit)}, {Text: e.GoVersion},
				{Text: strings.ReplaceAll(e.LibraryVersions, ";", " ")}, {Text: e.UTCTime.Format(time.DateTime)}})
		}
	}
	return t.dropEmpty()
}
