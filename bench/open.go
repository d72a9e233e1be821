package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/bench/rig"
	"ofpeak/bench/workload"
	"ofpeak/kernels/cuda/driver/ptxsim"
)

// openRunner starts the device named by --device. auto is a GPU if one answers, else the CPU, with a line on stderr that says why.
func openRunner(o runnerOptions) (runner, error) { return openRunnerOr(o, o.cpu) }

// openRunnerOr is openRunner with another way to open the CPU.
func openRunnerOr(o runnerOptions, cpu func() (runner, error)) (runner, error) {
	if o.Device == workload.Sim {
		return openSimulated(o)
	}
	return choose(o, openGPU, cpu)
}

func openSimulated(o runnerOptions) (runner, error) {
	gpus := cmp.Or(o.GPUs, simulatedGPUs)
	return o.rig(rig.Options{Driver: ptxsim.New(ptxsim.Config{Devices: gpus}), GPUs: gpus})
}

// Simulated GPUs, unless the user says how many, and at most.
const (
	simulatedGPUs = 4
	maxSimulated  = 64
)

// cpu measures on this host's cores, with the other processes of its job if a launcher started it.
func (o runnerOptions) cpu() (runner, error) {
	job, local, err := join(o.Stderr, o.Stall)
	if err != nil {
		return nil, err
	}
	return o.rig(rig.Options{Job: job, LocalRank: local})
}

// rig measures on a device and with a job as said, and else as the user wants it.
func (o runnerOptions) rig(on rig.Options) (runner, error) {
	on.Chip, on.Data, on.Rule, on.Trace, on.Stall, on.Graphs = o.Chip, o.Data, o.Rule, o.Trace, o.Stall, o.Graphs
	return rig.New(on)
}

func choose(o runnerOptions, gpu func(runnerOptions) (runner, error), cpu func() (runner, error)) (runner, error) {
	if o.Device == workload.CPU {
		return cpu()
	}
	r, err := gpu(o)
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
