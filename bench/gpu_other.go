//go:build !gpu

package main

import (
	"context"
	"fmt"
	"os"

	"ofpeak/bench/handover"
	"ofpeak/parallel/comm/mpi"
)

// probe asks the CUDA build beside this binary.
func probe(ctx context.Context) (string, error) {
	binary, err := cudaBuild()
	if err != nil {
		return "", err
	}
	return handover.Probe(ctx, binary)
}

// thisBuild hands GPUs over to the other.
var thisBuild = capabilities{cuda: true, mpi: mpi.Built}

// openGPU hands the process over to the CUDA build if a GPU answers to it.
func openGPU(runnerOptions) (runner, error) {
	binary, err := cudaBuild()
	if err != nil {
		return nil, err
	}
	if _, err := handover.Probe(context.Background(), binary); err != nil {
		return nil, err
	}
	return nil, handover.Exec(binary, os.Args[1:])
}

func cudaBuild() (string, error) {
	this, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("where this binary lies is unknown: %w", err)
	}
	return handover.Beside(this), nil
}
