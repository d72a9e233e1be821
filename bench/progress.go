package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"

	"ofpeak/bench/auto"
	"ofpeak/bench/workload"
	"ofpeak/results"
	"ofpeak/results/render"
)

// barSpace is what the bar itself takes of a line: percentage, 20 characters and times.
const barSpace = 50

// progress shows a run on stderr, a line for each finished case, and on a terminal a bar below them that names the running one and tells the time left. The
// table of the rows goes to stdout.
type progress struct {
	stdout, w io.Writer
	n, done   int
	width     int // of the terminal
	mu        sync.Mutex
	bar       *progressbar.ProgressBar // nil: no terminal
	weights   []int64                  // of the cases yet to begin
	what      string                   // runs
	searches  []auto.Explanation
}

func newProgress(stdout, w io.Writer) *progress {
	return &progress{stdout: stdout, w: w, width: render.Width(w)}
}

// Start draws the bar.
func (p *progress) Start(plan []workload.Planned, already []results.Row, path string) {
	p.n = len(plan)
	if len(already) > 0 {
		fmt.Fprintf(p.w, "ofpeak: %s has %d rows already; %d cases are left\n", path, len(already), len(plan))
	}
	if p.width == 0 || len(plan) == 0 {
		return
	}
	total := int64(0)
	for _, skipped := range []bool{true, false} { // in the order in which they are dealt with
		for _, c := range plan {
			if (c.Skip != nil) == skipped {
				p.weights = append(p.weights, weight(c))
				total += weight(c)
			}
		}
	}
	p.bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(p.w), progressbar.OptionSetWidth(20),
		progressbar.OptionSetPredictTime(true), progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionClearOnFinish())
}

// weight is about how many milliseconds a case takes on two cores: two and a half seconds for what all have in common, and thirty steps at 2e11 operations a second.
// Only their proportions matter, since the bar goes by how long the weights before took. What is skipped takes no time.
func weight(p workload.Planned) int64 {
	if p.Skip != nil {
		return 1
	}
	m := p.Case.Model
	flops := 6 * float64(m.L) * float64(m.LayerParams()) * float64(m.Tokens())
	if p.Case.Pass == workload.Forward {
		flops /= 3
	}
	if t := p.Case.Precision; t == "bf16" || t == "fp8" || t == "int8" {
		flops /= 2
	}
	return 2500 + int64(1000*30*flops/2e11)
}

// Begin names the case on the bar.
func (p *progress) Begin(c workload.Case) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = strings.Join(results.Words(c.String(), "seed", "device"), " ")
	p.describe("")
}

// Stage adds what the case does now.
func (p *progress) Stage(stage string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.describe(": " + stage)
}

func (p *progress) describe(stage string) {
	if p.bar == nil {
		return
	}
	what := fmt.Sprintf("[%d/%d] %s", min(p.done+1, p.n), p.n, p.what)
	room := max(0, p.width-barSpace)
	what = what[:min(len(what), max(0, room-len(stage)))] + stage
	p.bar.Describe(what[:min(len(what), room)])
}

// End prints the finished row's line.
func (p *progress) End(row *results.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.bar != nil {
		p.bar.Clear()
	}
	status := fmt.Sprintf("%-7s", row.Status)
	if render.Colored(p.w) {
		status = paint("status", status)
	}
	fmt.Fprintf(p.w, "[%*d/%d] %s %s\n", len(fmt.Sprint(p.n)), p.done, p.n, status, outcome(row))
	if p.bar != nil {
		p.bar.Add64(p.weights[0])
		p.weights = p.weights[1:]
	}
}

// Explain is shown when all has been measured.
func (p *progress) Explain(e auto.Explanation) { p.searches = append(p.searches, e) }

// Finish removes the bar and prints the table.
func (p *progress) Finish(rows []results.Row, path string, _ error) error {
	if p.bar != nil {
		p.bar.Clear()
	}
	if len(rows) > 0 {
		if err := writeTable(p.stdout, rows); err != nil {
			return err
		}
	}
	for _, e := range p.searches {
		if err := writeExplanation(p.stdout, e); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(p.stdout, "\n%s\n", path)
	return err
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
