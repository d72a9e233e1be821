package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/results"
	"ofpeak/results/explain"
	"ofpeak/results/render"
)

type explainFlags struct {
	row          int
	text, format string
}

// newExplainCmd shows where the time of a results file's rows went.
func newExplainCmd(stdout io.Writer) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain RUN.csv",
		Short: "Show where the rest of the peak went: each row's step in parts, or one row in detail",
		Example: `  ofpeak explain run.csv
  ofpeak explain run.csv --row 3
  ofpeak explain run.csv --case 'tp=2'`,
		Args: files(1, 1),
		RunE: func(_ *cobra.Command, args []string) error { return f.explain(stdout, args[0]) },
	}
	cmd.Flags().IntVar(&f.row, "row", 0, "show this row of the file in detail, from 1")
	cmd.Flags().StringVar(&f.text, "case", "", "show the rows in detail whose case has this text")
	cmd.Flags().StringVar(&f.format, "format", "text", "text, csv or md")
	cmd.MarkFlagsMutuallyExclusive("row", "case")
	return cmd
}

func (f explainFlags) explain(w io.Writer, path string) error {
	format, err := render.ParseFormat(f.format)
	if err != nil {
		return err
	}
	file, err := results.Read(path)
	if err != nil {
		return err
	}
	rows, err := f.choose(file)
	if err != nil {
		return err
	}
	if rows == nil {
		return overview(w, file.Rows, format)
	}
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := explainRow(w, r, format); err != nil {
			return err
		}
	}
	return nil
}

func overview(w io.Writer, rows []results.Row, format render.Format) error {
	width := 0
	if format == render.Text {
		width = render.Width(w)
	}
	t, left := explain.Overview(rows, width)
	if err := t.Write(w, format, width); err != nil || len(left) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", render.Wrap("left out for want of width: "+strings.Join(left, ", "), width, ""))
	return err
}

// choose returns the rows to show in detail; nil: an overview of all.
func (f explainFlags) choose(file *results.File) ([]*results.Row, error) {
	var have, rows []*results.Row
	for i := range file.Rows {
		r := &file.Rows[i]
		if r.Waterfall() == nil {
			continue
		}
		have = append(have, r)
		if f.row == i+1 || f.text != "" && strings.Contains(r.Case+"\n"+strings.Join(results.Words(r.Case), " "), f.text) {
			rows = append(rows, r)
		}
	}
	switch {
	case len(have) == 0:
		return nil, fmt.Errorf("%s: no row says where its step went; measure again with this version's ofpeak run", file.Path)
	case f.row < 0 || f.row > len(file.Rows):
		return nil, fmt.Errorf("--row %d: %s has rows 1 to %d", f.row, file.Path, len(file.Rows))
	case f.row > 0 && rows == nil:
		return nil, fmt.Errorf("--row %d: this row does not say where its step went; ofpeak explain %s lists those that do", f.row, file.Path)
	case f.text != "" && rows == nil:
		return nil, fmt.Errorf("--case %q: is in no case that says where its step went; ofpeak explain %s lists those that do", f.text, file.Path)
	case len(have) == 1:
		return have, nil
	}
	return rows, nil
}

// barWidth is the length of a whole step's bar that leaves room for the other columns on a terminal.
func barWidth(terminal int) int {
	const longest, shortest, others = 40, 10, 52
	if terminal == 0 {
		return longest
	}
	return min(longest, max(shortest, terminal-others))
}

func explainRow(w io.Writer, r *results.Row, format render.Format) error {
	parts := explain.Waterfall(r, barWidth(render.Width(w)))
	switch format {
	case render.CSV:
		parts = parts.Without("")
	case render.Markdown:
		fmt.Fprintf(w, "%s\n\n", strings.ReplaceAll(explain.Title(r), "\n", "  \n"))
	default:
		for line := range strings.Lines(explain.Title(r)) {
			fmt.Fprintln(w, render.Wrap(strings.TrimSuffix(line, "\n"), render.Width(w), ""))
		}
		fmt.Fprintln(w)
	}
	for i, t := range []render.Table{parts, explain.Operators(r)} {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := t.Write(w, format, render.Width(w)); err != nil {
			return err
		}
	}
	return nil
}
