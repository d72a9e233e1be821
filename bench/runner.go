package main

import (
	"fmt"
	"io"
	"time"

	"ofpeak/bench/measure"
	"ofpeak/bench/sweep"
	"ofpeak/results/chips"
)

// runnerOptions are what a user says about the device and how it is measured.
type runnerOptions struct {
	Device string // auto, cpu, cuda or sim
	GPUs   int    // to use; 0: all, or simulatedGPUs
	Chip   string // row of the chip table; "": as detected
	Data   string // text of the language-model check; "": the built-in corpus
	Rule   measure.Rule
	Stall  time.Duration // that ranks may wait for one that does nothing; 0: for ever
	Graphs string        // one of rig.Graphs
	Trace  string        // file to which a recorded step of each case is added; "": none
	Stderr io.Writer     `json:"-"` // where auto says what it chose, and why
}

// openFunc starts the device that cases are measured on.
type openFunc func(runnerOptions) (runner, error)

// runner is a sweep.Runner that holds a device.
type runner interface {
	sweep.Runner
	Close() error
}

// checkChip refuses a name that the chip table does not have.
func checkChip(name string) error {
	if name == "" {
		return nil
	}
	if _, ok := chips.Builtin().Lookup(name); !ok {
		return fmt.Errorf("--chip %q: is not in the table; see ofpeak chips", name)
	}
	return nil
}
