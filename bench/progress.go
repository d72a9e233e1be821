package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/schollz/progressbar/v3"

	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/render"
)

// barSpace is what the bar itself takes of a line: percentage, 20 characters, count and times.
const barSpace = 56

// progress shows a run on stderr: a line for each finished case, and on a terminal a bar below them that names the running one.
type progress struct {
	w       io.Writer
	n, done int
	width   int                      // of the terminal
	bar     *progressbar.ProgressBar // nil: no terminal
}

func newProgress(w io.Writer, n int) *progress {
	p := &progress{w: w, n: n}
	if p.width = render.Width(w); p.width > 0 {
		p.bar = progressbar.NewOptions(n, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(), progressbar.OptionSetWidth(20),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
	}
	return p
}

// Begin names the case on the bar.
func (p *progress) Begin(c workload.Case) {
	if p.bar != nil {
		what := strings.Join(fields(c.String()), " ")
		p.bar.Describe(what[:min(len(what), max(0, p.width-barSpace))])
	}
}

// End prints the finished row's line.
func (p *progress) End(row *results.Row) {
	p.done++
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintf(p.w, "[%*d/%d] %-7s %s\n", len(fmt.Sprint(p.n)), p.done, p.n, row.Status, outcome(row))
	if p.bar != nil {
		p.bar.Add(1)
	}
}

// close removes the bar.
func (p *progress) close() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

// outcome is the row's case with what matters of its result.
func outcome(row *results.Row) string {
	s := row.Case
	if median, ok := row.StepMedianS.Get(); ok {
		s += "  " + duration(median)
	}
	if share, ok := row.ShareMeasuredPct.Get(); ok {
		s += fmt.Sprintf("  %.1f %% of measured peak", share)
	}
	if row.Reason != "" {
		s += "  (" + brief(row.Reason) + ")"
	}
	return s
}
