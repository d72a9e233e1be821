package isolate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
)

// Runner is a sweep.Runner that measures in children. What the machine is and can, it asks a runner of its own process.
type Runner struct {
	sweep.Runner
	// Command makes the command that measures a case; the job is appended to its arguments.
	Command func(c workload.Case) (*exec.Cmd, error)
	Options json.RawMessage // of every job
	Timeout time.Duration   // of a case; 0: none
	Stopped time.Duration   // that a process of a case may be stopped by a signal; 0: for ever
	// Lost, unless nil, names processes of a child, of which it gets the id, that are gone; "": none. Where it still does so a while later, with the case under way, the child has not
	// noticed, and is ended.
	Lost func(child int) string
	// After, unless nil, is called when a child has ended, with its last lines. What it says of one that failed is added to the reason.
	After func(tail []string, failed bool) string
	carry json.RawMessage
}

// Run measures c in a child. A child that ends without a row makes the row a failed one.
func (r *Runner) Run(ctx context.Context, c workload.Case, row *results.Row) {
	r.settle(ctx, c, row, "")
}

// Probe takes the first steps of c in a child.
func (r *Runner) Probe(ctx context.Context, c workload.Case, row *results.Row) {
	r.settle(ctx, c, row, Probe)
}

func (r *Runner) settle(ctx context.Context, c workload.Case, row *results.Row, task string) {
	heard, err := r.child(ctx, c, task)
	if err == nil {
		var got results.Row
		if got, err = parseRow(heard.row, c); err == nil {
			*row = got
			return
		}
	}
	if ctx.Err() == nil {
		row.Settle(results.Failed, err.Error())
	}
}

// Costs measures the costs of c in a child.
func (r *Runner) Costs(ctx context.Context, c workload.Case) (costmodel.Table, error) {
	var table costmodel.Table
	heard, err := r.child(ctx, c, Costs)
	if err == nil {
		err = json.Unmarshal(heard.costs, &table)
	}
	return table, err
}

// child has a task done and returns what was said. What it carries is kept.
func (r *Runner) child(ctx context.Context, c workload.Case, task string) (*listener, error) {
	job, err := json.Marshal(Job{Case: c.String(), Task: task, Options: r.Options, Carry: r.carry})
	if err != nil {
		return nil, err
	}
	cmd, err := r.Command(c)
	if err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, string(job))
	p, err := start(cmd)
	if err != nil {
		return nil, fmt.Errorf("the case's process does not start: %w", err)
	}
	heard := newListener(ctx)
	var reading sync.WaitGroup
	reading.Go(func() { heard.messages(p.out) })
	reading.Go(func() { heard.words(p.errs) })
	limits := limits{all: r.Timeout, stopped: r.Stopped, lost: r.Lost}
	end := p.wait(ctx, limits)
	for _, f := range []*os.File{p.out, p.errs} {
		_ = f.SetReadDeadline(time.Now().Add(time.Second)) // whoever still holds it has left the case
	}
	reading.Wait()
	after := ""
	if r.After != nil {
		after = r.After(heard.tail, !heard.done())
	}
	if !heard.done() {
		return nil, errors.New(reason(end, heard.stage, heard.tail, limits) + suffix(after))
	}
	if heard.carry != nil {
		r.carry = heard.carry
	}
	return heard, nil
}

func parseRow(text string, c workload.Case) (results.Row, error) {
	file, err := results.Parse("the case's process", []byte(text))
	if err != nil {
		return results.Row{}, err
	}
	if len(file.Rows) != 1 || file.Rows[0].Case != c.String() {
		return results.Row{}, errors.New("the case's process: wrote no row of the case")
	}
	return file.Rows[0], nil
}

// listener gathers what a child says.
type listener struct {
	ctx   context.Context
	stage string
	row   string
	costs json.RawMessage
	carry json.RawMessage
	mu    sync.Mutex
	tail  []string // last lines that are no messages
}

// done reports whether the child has said what it was asked for.
func (l *listener) done() bool { return l.row != "" || l.costs != nil }

func newListener(ctx context.Context) *listener { return &listener{ctx: ctx} }

// maxLine bounds a message; a row has some kilobytes, thousands of samples and a loss curve make it some hundred.
const maxLine = 16 << 20

// messages reads standard output to its end.
func (l *listener) messages(f *os.File) {
	l.lines(f, func(line []byte) {
		m, ok := parseMessage(line)
		switch {
		case !ok:
			l.keep(line)
		case m.Row != "":
			l.row, l.carry = m.Row, m.Carry
		case m.Costs != nil:
			l.costs = m.Costs
		default:
			l.stage = m.Stage
			sweep.Stage(l.ctx, m.Stage)
		}
	})
}

// words reads standard error to its end.
func (l *listener) words(f *os.File) { l.lines(f, l.keep) }

func (l *listener) lines(f *os.File, use func(line []byte)) {
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		use(s.Bytes())
	}
	_, _ = io.Copy(io.Discard, f) // after a line that is too long, so that the child does not wait for a reader
}

// tailLines is how much of a child's last words is looked at: a Go crash tells its cause first and then every goroutine.
const tailLines = 2000

func (l *listener) keep(line []byte) {
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = append(l.tail, string(line[:min(len(line), 1000)])); len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
}
