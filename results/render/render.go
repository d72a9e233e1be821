// Package render writes a table of cells as aligned text that fits a width, as Markdown or as CSV. It knows nothing of what the cells mean.
package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// Format is a way to write a table.
type Format string

// Formats.
const (
	Text     Format = "text"
	CSV      Format = "csv"
	Markdown Format = "md"
)

// ParseFormat reads the value of a --format flag.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); slices.Contains([]Format{Text, CSV, Markdown}, f) {
		return f, nil
	}
	return "", fmt.Errorf("--format %q: is unknown; use text, csv or md", s)
}

// Table is what to write. Every row has as many cells as Header.
type Table struct {
	Header []string
	Rows   [][]string
	Right  []int // columns aligned to the right
	// Paint, if not nil, puts a cell's text into colours, for a terminal; it must leave its width.
	Paint func(column, cell string) string
}

// Without removes the named columns.
func (t Table) Without(names ...string) Table {
	return t.keep(func(c int) bool { return !slices.Contains(names, t.Header[c]) })
}

// DropEmpty removes the columns that have no text in any row.
func (t Table) DropEmpty() Table {
	return t.keep(func(c int) bool {
		return slices.ContainsFunc(t.Rows, func(row []string) bool { return row[c] != "" })
	})
}

// Narrow removes the least important columns, in the order named, until the table fits the width, and returns those that it removed.
func (t Table) Narrow(width int, leastFirst ...string) (narrow Table, left []string) {
	for _, name := range leastFirst {
		if t.Fits(width) {
			break
		}
		if slices.Contains(t.Header, name) {
			t, left = t.Without(name), append(left, name)
		}
	}
	return t, left
}

func (t Table) keep(wanted func(column int) bool) Table {
	kept := Table{Rows: make([][]string, len(t.Rows)), Paint: t.Paint}
	for c, name := range t.Header {
		if !wanted(c) {
			continue
		}
		if slices.Contains(t.Right, c) {
			kept.Right = append(kept.Right, len(kept.Header))
		}
		kept.Header = append(kept.Header, name)
		for i, row := range t.Rows {
			kept.Rows[i] = append(kept.Rows[i], row[c])
		}
	}
	return kept
}

// Write writes the table. Text wraps its left-aligned cells to fit width columns of a terminal; 0 means any width. Where even that is too wide
// (see Fits), the lines are longer.
func (t Table) Write(w io.Writer, f Format, width int) error {
	if f == CSV {
		return csv.NewWriter(w).WriteAll(append([][]string{t.Header}, t.Rows...))
	}
	out := table.NewWriter()
	out.AppendHeader(cells(t.Header))
	for _, row := range t.Rows {
		out.AppendRow(cells(row))
	}
	if f != Text {
		width = 0 // a page wraps by itself
	}
	widths, gap := t.fit(width)
	out.SetColumnConfigs(t.columns(widths, f == Text))
	var s string
	if f == Markdown {
		s = out.RenderMarkdown()
	} else {
		out.SetStyle(plain(gap))
		s = trimLines(out.Render(), gap)
	}
	_, err := fmt.Fprintln(w, s)
	return err
}

// plain separates columns by spaces alone, so that a table can be read, copied and cut.
func plain(gap int) table.Style {
	return table.Style{
		Box:     table.BoxStyle{MiddleHorizontal: "-", MiddleSeparator: "-", MiddleVertical: " ", PaddingRight: strings.Repeat(" ", gap)},
		Format:  table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault},
		Options: table.Options{SeparateHeader: true},
	}
}

func cells(row []string) table.Row {
	out := make(table.Row, len(row))
	for i, s := range row {
		out[i] = s
	}
	return out
}

func (t Table) columns(widths []int, painted bool) []table.ColumnConfig {
	configs := make([]table.ColumnConfig, len(t.Header))
	for i := range configs {
		align := text.AlignLeft
		if slices.Contains(t.Right, i) {
			align = text.AlignRight
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align, WidthMax: widths[i], WidthMaxEnforcer: text.WrapSoft}
		if t.Paint != nil && painted {
			configs[i].Transformer = func(cell any) string { return t.Paint(t.Header[i], cell.(string)) }
		}
	}
	return configs
}

// leastText and mostWord bound the width below which a left-aligned column is not wrapped: that of its longest word between them. Right-aligned columns hold
// numbers and are never wrapped.
const leastText, mostWord = 12, 16

// Fits reports whether Write can keep to a width.
func (t Table) Fits(width int) bool {
	widths, gap := t.fit(width)
	return width == 0 || total(widths, gap) <= width
}

// fit finds the widths of the columns and the gap between them: the natural ones, then closer together, then with the widest text taken in until all fits.
func (t Table) fit(width int) (widths []int, gap int) {
	widths, gap = make([]int, len(t.Header)), 2
	for c := range widths {
		widths[c] = utf8.RuneCountInString(t.Header[c])
		for _, row := range t.Rows {
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]))
		}
	}
	if width == 0 {
		return widths, gap
	}
	if least := t.shrink(widths, gap, 0); total(least, gap) > width {
		gap = 1
	}
	return t.shrink(widths, gap, width), gap
}

// shrink takes from the widest text column until the columns fit or none has more than it needs.
func (t Table) shrink(natural []int, gap, width int) []int {
	widths, least := slices.Clone(natural), t.least()
	for total(widths, gap) > width {
		widest := -1
		for c, w := range widths {
			if w > least[c] && !slices.Contains(t.Right, c) && (widest < 0 || w > widths[widest]) {
				widest = c
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// least are the widths below which columns are not wrapped.
func (t Table) least() []int {
	least := make([]int, len(t.Header))
	for c := range least {
		least[c] = leastText
		for _, row := range t.Rows {
			for word := range strings.FieldsSeq(row[c]) {
				least[c] = max(least[c], min(mostWord, utf8.RuneCountInString(word)))
			}
		}
	}
	return least
}

func total(widths []int, gap int) int {
	sum := -gap
	for _, w := range widths {
		sum += w + gap
	}
	return sum
}

// trimLines removes the gap after the last column.
func trimLines(s string, gap int) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if rule := strings.Trim(line, "-") == "" && len(line) > gap; rule {
			line = line[:len(line)-gap]
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// Colored reports whether text for w may have colours: it is a terminal that knows them, and NO_COLOR (no-color.org) does not say otherwise.
func Colored(w io.Writer) bool {
	return Width(w) > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Width is the width of the terminal that w writes to, or 0 where it is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Wrap breaks a paragraph into lines of at most width columns, the later ones indented; 0 means any width. A number stays with its percent sign.
func Wrap(s string, width int, indent string) string {
	if width <= len(indent) {
		return s
	}
	const kept = "\ufffc%" // of the width of a blank, and not one
	return strings.ReplaceAll(wrap(strings.ReplaceAll(s, " %", kept), width, indent), kept, " %")
}

func wrap(s string, width int, indent string) string {
	lines := strings.Split(text.WrapSoft(s, width), "\n")
	if len(lines) == 1 {
		return s
	}
	rest := strings.Join(strings.Fields(strings.TrimPrefix(s, strings.TrimSpace(lines[0]))), " ")
	lines = lines[:1]
	for line := range strings.SplitSeq(text.WrapSoft(rest, width-len(indent)), "\n") {
		lines = append(lines, indent+line)
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
