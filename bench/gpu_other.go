//go:build !gpu

package main

import (
	"context"
	"fmt"
	"os"

	"ofpeak/bench/handover"
	"ofpeak/kernels"
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

// handOver gives the process to the CUDA build if a GPU answers to it. It returns only if not.
func handOver() error {
	binary, err := cudaBuild()
	if err != nil {
		return err
	}
	if _, err := handover.Probe(context.Background(), binary); err != nil {
		return err
	}
	return handover.Exec(binary, os.Args[1:])
}

func openGPU(runnerOptions) (runner, error) { return nil, handOver() }

func firstGPU() (kernels.Device, error) { return nil, handOver() }

func cudaBuild() (string, error) {
	this, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("where this binary lies is unknown: %w", err)
	}
	return handover.Beside(this), nil
}
