//go:build gpu

package main

import (
	"context"
	"errors"
	"fmt"

	"ofpeak/bench/rig"
	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/cudriver"
	"ofpeak/parallel/comm/mpi"
)

// probe describes the GPUs that CUDA lets this process use.
func probe(context.Context) (string, error) { return describe(cudriver.New()) }

// describe is one line about a driver's devices, the first in detail.
func describe(d driver.Driver) (string, error) {
	n, err := d.Devices()
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", errors.New("the NVIDIA driver finds no GPU")
	}
	version, err := d.Version()
	if err != nil {
		return "", err
	}
	info, err := d.Device(0)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d x %s, compute capability %d.%d, %.1f GB, driver for CUDA %d.%d",
		n, info.Name, info.Major, info.Minor, float64(info.Memory)/1e9, version/1000, version%1000/10), nil
}

// thisBuild drives GPUs itself.
var thisBuild = capabilities{cuda: true, mpi: mpi.Built}

// gpuDriver is the driver of this host's GPUs, if one answers.
func gpuDriver() (driver.Driver, error) {
	d := cudriver.New()
	_, err := describe(d)
	return d, err
}

// firstGPU opens this host's first GPU.
func firstGPU() (kernels.Device, error) {
	d, err := gpuDriver()
	if err != nil {
		return nil, err
	}
	return cuda.Open(d, 0)
}

// openGPU measures on the GPUs of this host, or on one of them with the other processes of its job.
func openGPU(o runnerOptions) (runner, error) {
	d, err := gpuDriver()
	if err != nil {
		return nil, err
	}
	library, none := d.Collectives()
	job, local, err := joinGPUs(o.Stderr, o.Stall, library, none)
	if err != nil {
		return nil, err
	}
	return o.rig(rig.Options{Driver: d, GPUs: o.GPUs, Job: job, LocalRank: local})
}
