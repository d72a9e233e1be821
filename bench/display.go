package main

import (
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"ofpeak/bench/auto"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// display shows a run: what is to be measured, each case as it begins and ends, and the outcome.
type display interface {
	sweep.Observer
	sweep.Explainer
	Start(plan []workload.Planned, already []results.Row, path string)
	Stage(stage string) // of the case that began last; from any goroutine
	// Finish shows the rows of the file, and what ended the run early, if anything did.
	Finish(rows []results.Row, path string, err error) error
}

// displayFlags choose one.
type displayFlags struct{ quiet, json bool }

func (f *displayFlags) register(p *pflag.FlagSet) {
	p.BoolVarP(&f.quiet, "quiet", "q", false, "print only the CSV's path, and errors")
	p.BoolVar(&f.json, "json", false, "print each event of the run as a line of JSON instead of progress and table (docs/running.md)")
}

func (f *displayFlags) check() error {
	if f.quiet && f.json {
		return fmt.Errorf("--quiet and --json contradict each other; drop one")
	}
	return nil
}

func (f *displayFlags) display(stdout, stderr io.Writer) display {
	switch {
	case f.quiet:
		return quiet{stdout}
	case f.json:
		return newEvents(stdout)
	}
	return newProgress(stdout, stderr)
}

// quiet shows the path alone.
type quiet struct{ stdout io.Writer }

func (quiet) Start([]workload.Planned, []results.Row, string) {}
func (quiet) Begin(workload.Case)                             {}
func (quiet) Explain(auto.Explanation)                        {}
func (quiet) Stage(string)                                    {}
func (quiet) End(*results.Row)                                {}

func (q quiet) Finish(_ []results.Row, path string, _ error) error {
	_, err := fmt.Fprintln(q.stdout, path)
	return err
}
