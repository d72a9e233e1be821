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
}

// DropEmpty removes the columns that have no text in any row, and keeps the rest in order.
func (t Table) DropEmpty() Table {
	var kept Table
	kept.Rows = make([][]string, len(t.Rows))
	for c, name := range t.Header {
		if !slices.ContainsFunc(t.Rows, func(row []string) bool { return row[c] != "" }) {
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

// Write writes the table. Text wraps its cells to fit width columns of a terminal; 0 means any width.
func (t Table) Write(w io.Writer, f Format, width int) error {
	if f == CSV {
		return csv.NewWriter(w).WriteAll(append([][]string{t.Header}, t.Rows...))
	}
	out := table.NewWriter()
	out.AppendHeader(cells(t.Header))
	for _, row := range t.Rows {
		out.AppendRow(cells(row))
	}
	out.SetColumnConfigs(t.columns(width))
	var s string
	if f == Markdown {
		s = out.RenderMarkdown()
	} else {
		out.SetStyle(plain)
		s = trimLines(out.Render())
	}
	_, err := fmt.Fprintln(w, s)
	return err
}

// plain separates columns by spaces alone, so that a table can be read, copied and cut.
var plain = table.Style{
	Box:     table.BoxStyle{MiddleHorizontal: "-", MiddleSeparator: "-", MiddleVertical: " ", PaddingRight: "  "},
	Format:  table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault},
	Options: table.Options{SeparateHeader: true},
}

func cells(row []string) table.Row {
	out := make(table.Row, len(row))
	for i, s := range row {
		out[i] = s
	}
	return out
}

func (t Table) columns(width int) []table.ColumnConfig {
	widths := t.fit(width)
	configs := make([]table.ColumnConfig, len(t.Header))
	for i := range configs {
		align := text.AlignLeft
		if slices.Contains(t.Right, i) {
			align = text.AlignRight
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align}
		if width > 0 {
			configs[i].WidthMax = widths[i]
			configs[i].WidthMaxEnforcer = text.WrapSoft
		}
	}
	return configs
}

// fit gives each column its natural width, then takes from the widest until all fit. A column keeps at least eight characters, so that a table may stay
// wider than a very narrow terminal.
func (t Table) fit(width int) []int {
	const least, gap = 8, 2
	widths := make([]int, len(t.Header))
	total := 0
	for c := range widths {
		widths[c] = utf8.RuneCountInString(t.Header[c])
		for _, row := range t.Rows {
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c]))
		}
		total += widths[c] + gap
	}
	for width > 0 && total > width {
		widest := slices.Max(widths)
		if widest <= least {
			break
		}
		widths[slices.Index(widths, widest)]--
		total--
	}
	return widths
}

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
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

// Wrap breaks a paragraph into lines of at most width columns, the later ones indented; 0 means any width.
func Wrap(s string, width int, indent string) string {
	if width <= len(indent) {
		return s
	}
	lines := strings.Split(text.WrapSoft(s, width), "\n")
	if len(lines) == 1 {
		return s
	}
	rest := strings.Join(strings.Fields(strings.TrimPrefix(s, strings.TrimSpace(lines[0]))), " ")
	rest = text.WrapSoft(rest, width-len(indent))
	return strings.TrimRight(lines[0], " ") + "\n" + indent + strings.ReplaceAll(rest, "\n", "\n"+indent)
}
