package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/bench/rig"
	"ofpeak/bench/workload"
	"ofpeak/parallel/comm/mpi"
)

// thisBuild measures on the CPU only, its ranks perhaps processes.
var thisBuild = capabilities{mpi: mpi.Built}

// openRunner starts the device named by --device. auto is a GPU if one answers, else the CPU, with a line on stderr that says why.
func openRunner(o runnerOptions) (runner, error) {
	return choose(o, openGPU, func() (runner, error) {
		job, local, err := join(o.Stderr)
		if err != nil {
			return nil, err
		}
		return rig.New(rig.Options{Chip: o.Chip, Data: o.Data, Rule: o.Rule, Trace: o.Trace, Job: job, LocalRank: local})
	})
}

func choose(o runnerOptions, gpu, cpu func() (runner, error)) (runner, error) {
	if o.Device == workload.CPU {
		return cpu()
	}
	r, err := gpu()
	if err == nil {
		return r, nil
	}
	if o.Device == workload.CUDA {
		return nil, fmt.Errorf("--device cuda: %w; pass --device cpu", err)
	}
	fmt.Fprintf(o.Stderr, "ofpeak: measuring the CPU: %v\n", err)
	return cpu()
}

// newProbeCmd is how the plain build asks the CUDA build: in the latter it prints a line about the GPUs.
func newProbeCmd(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:    "probe",
		Short:  "Say which GPU answers",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := probe(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, strings.TrimSpace(found))
			return err
		},
	}
}
