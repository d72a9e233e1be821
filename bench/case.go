package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/isolate"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/mpi"
	"ofpeak/results"
)

// isolated measures each case in a child of this process: this very binary, as ofpeak case JOB. One of several ranks is started by the launcher, if there is one.
func isolated(r runner, o runnerOptions, timeout time.Duration, launcher string) (sweep.Runner, error) {
	this, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("where this binary lies is unknown: %w; pass --isolate=false", err)
	}
	o.Device = string(r.Machine().Device) // what auto chose
	options, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	runner := &isolate.Runner{
		Runner: r, Options: options, Timeout: timeout,
		Stopped: stopped(o.Stall),
		Command: func(workload.Case) (*exec.Cmd, error) { return exec.Command(this, "case"), nil },
	}
	if launcher != "" {
		j := &jobs{launcher: strings.Fields(launcher), plain: this}
		runner.Command, runner.After, runner.Lost = j.command, j.after, j.lost
	}
	return runner, nil
}

// stopped is how long a process of a case may be stopped: so long that ranks which wait for it can say so first.
func stopped(stall time.Duration) time.Duration {
	if stall == 0 {
		return 0
	}
	return stall + parallel.Grace
}

// newCaseCmd is the child: it measures one case and writes the messages of package isolate.
func newCaseCmd(stdout, stderr io.Writer, open openFunc) *cobra.Command {
	return &cobra.Command{
		Use:    "case JOB",
		Short:  "Measure the case of a job, for ofpeak run --isolate",
		Hidden: true,
		Args:   oneJob,
		RunE: func(cmd *cobra.Command, args []string) error {
			mpi.Starting()
			job, c, err := isolate.ParseJob(args[0])
			if err != nil {
				return err
			}
			var o runnerOptions
			if err := json.Unmarshal(job.Options, &o); err != nil {
				return fmt.Errorf("the job's options: %w; use ofpeak run --case instead", err)
			}
			o.Stderr = stderr
			if l, launched := mpi.Launched(); launched && l.Rank > 0 {
				isolate.Enter(nil) // a launcher gives its input to the first process
			} else {
				isolate.Enter(os.Stdin)
			}
			return runCase(cmd.Context(), isolate.NewWriter(stdout), open, job, o, c)
		},
	}
}

func oneJob(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("case JOB is what ofpeak run --isolate starts, and %d jobs are not one; use ofpeak run --case", len(args))
	}
	return nil
}

func runCase(ctx context.Context, to isolate.Writer, open openFunc, job isolate.Job, o runnerOptions, c workload.Case) error {
	r, err := open(o)
	if err != nil {
		return err
	}
	defer r.Close()
	if followed, err := follow(ctx, r); followed {
		return err
	}
	carrier, _ := r.(isolate.Carrier)
	if carrier != nil && job.Carry != nil {
		if err := carrier.Recall(job.Carry); err != nil {
			return err
		}
	}
	row := sweep.NewRow(c, r.Machine(), sweep.ThisEnvironment(), time.Now())
	if processes(r) > 1 { // whoever started the job did not know how many it has
		if err := r.Check(c); err != nil && job.Task != isolate.Costs {
			row.Settle(results.Skipped, err.Error())
			return to.Row(row, nil)
		}
	}
	ctx = sweep.OnStage(ctx, func(stage string) { _ = to.Stage(stage) })
	switch job.Task {
	case isolate.Costs:
		table, err := r.Costs(ctx, c)
		if err != nil {
			return err
		}
		return to.Costs(table)
	case isolate.Probe:
		r.Probe(ctx, c, &row)
	default:
		r.Run(ctx, c, &row)
	}
	var carry []byte
	if carrier != nil {
		if carry, err = carrier.Carry(); err != nil {
			return err
		}
	}
	return to.Row(row, carry)
}
