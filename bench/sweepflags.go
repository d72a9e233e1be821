package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/parallel/comm"
	"ofpeak/results"
)

// sweepFlags are the flags of ofpeak run that say how a long sweep gets to its end.
type sweepFlags struct {
	isolate, resume bool
	timeout, stall  time.Duration
	launcher        string
	retry           []string
	set             *pflag.FlagSet
}

// fullTimeout is the time limit of a case of the suite full: some ten times as long as the widest preset should take on a small host.
const fullTimeout = 2 * time.Hour

func (f *sweepFlags) register(p *pflag.FlagSet) {
	f.set = p
	p.BoolVar(&f.isolate, "isolate", false, "measure each case in a process of its own, so that one that crashes costs no other (default for --suite full)")
	p.DurationVar(&f.timeout, "timeout", 0, "time limit of a case, such as 10m, which needs --isolate; 0: none (default 2h for --suite full)")
	p.DurationVar(&f.stall, "stall-timeout", comm.DefaultStall, "how long ranks may wait for one that does nothing before their case fails; 0: for ever")
	p.StringVar(&f.launcher, "launcher", "", "start each case of several ranks in a job of its own by this, such as 'mpirun -np 4'; implies --isolate")
	p.BoolVar(&f.resume, "resume", false, "go on with the CSV of --out: cases that have a row in it are not measured again")
	p.StringSliceVar(&f.retry, "retry", nil, "with --resume, measure again the cases whose row is failed, wrong, suspect or skipped")
}

// check fills in what depends on the suite, and refuses flags that contradict each other.
func (f *sweepFlags) check(suite, out string) error {
	isolation, limit := f.set.Changed("isolate"), f.set.Changed("timeout")
	switch {
	case f.timeout < 0:
		return fmt.Errorf("--timeout %v is negative; pass 0 for no limit", f.timeout)
	case f.stall < 0:
		return fmt.Errorf("--stall-timeout %v is negative; pass 0 to wait for ever", f.stall)
	case f.timeout > 0 && isolation && !f.isolate:
		return fmt.Errorf("--timeout %v with --isolate=false: only a process can be ended from outside; drop one", f.timeout)
	case f.resume && out == "":
		return fmt.Errorf("--resume needs the CSV to go on with; add --out FILE")
	case len(f.retry) > 0 && !f.resume:
		return fmt.Errorf("--retry %s needs --resume; add it, and --out FILE", strings.Join(f.retry, ","))
	}
	for _, s := range f.retry {
		if !slices.Contains(retryable, results.Status(s)) {
			return fmt.Errorf("--retry %s is unknown; take failed, wrong, suspect or skipped", s)
		}
	}
	if f.launcher != "" {
		if isolation && !f.isolate {
			return fmt.Errorf("--launcher %q with --isolate=false: a job is a process of its own; drop one", f.launcher)
		}
		f.isolate = true
	}
	if suite == "full" && !isolation {
		f.isolate = true
	}
	if suite == "full" && f.isolate && !limit {
		f.timeout = fullTimeout
	}
	f.isolate = f.isolate || f.timeout > 0
	return nil
}

// retryable are the statuses of rows that may come out differently.
var retryable = []results.Status{results.Failed, results.Wrong, results.Suspect, results.Skipped}

// goOn opens the CSV of an earlier run. Of the plan's rows it takes out those that --retry names.
func (f *sweepFlags) goOn(path string, plan []workload.Planned, stderr io.Writer) (*results.Writer, []results.Row, error) {
	w, found, err := results.Resume(path, sweep.Again(plan, func(s results.Status) bool { return slices.Contains(f.retry, string(s)) }))
	if err != nil {
		return nil, nil, err
	}
	for _, warning := range found.Warnings {
		fmt.Fprintln(stderr, "ofpeak:", warning)
	}
	return w, found.Rows, nil
}

// rescuer appends to the CSV, and puts a row that its disk has no place for into the folder for temporary files.
type rescuer struct{ *results.Writer }

func (w rescuer) Append(r *results.Row) error {
	err := w.Writer.Append(r)
	if err == nil {
		return nil
	}
	path, rescue := results.Rescue(r)
	if rescue != nil {
		return err
	}
	return fmt.Errorf("%w; the row that did not fit is in %s", err, path)
}
