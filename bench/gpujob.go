//go:build gpu

package main

import (
	"fmt"
	"io"
	"time"

	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/mpi"
	"ofpeak/parallel/comm/nccl"
	"ofpeak/parallel/comm/rendezvous/env"
)

// joinGPUs makes this process one of its job, for one GPU, if something started several, with its number among those of its host. A library of collectives connects them, or
// none does, as the error says: then the job's first process goes on alone with all GPUs of its host, and says why.
func joinGPUs(stderr io.Writer, stall time.Duration, library driver.Collectives, none error) (comm.Processes, int, error) {
	// The variables that torchrun sets come first: its processes may have inherited those of mpirun or srun, which started it.
	told, found, err := env.Launched()
	if err != nil {
		return nil, -1, err
	}
	launch, launched := mpi.Launched()
	by, rank, local := launch.By, launch.Rank, launch.LocalRank
	switch {
	case found:
		by, rank, local = "RANK and WORLD_SIZE", told.Rank, told.LocalRank
	case !launched || launch.Processes == 1:
		return nil, -1, nil
	}
	var peers comm.Peers
	err = none
	if err == nil && found {
		peers, err = env.Start(told)
	} else if err == nil {
		var job comm.Processes
		if job, err = mpi.Start(stall); err == nil {
			peers = nccl.Of(job)
		}
	}
	switch {
	case err == nil:
		job := nccl.Join(library, peers)
		if job.Rank() == 0 {
			fmt.Fprintf(stderr, "measuring with %d processes of %s as ranks, a GPU each, over %s\n", job.Size(), by, job.Version())
		}
		return job, local, nil
	case rank > 0:
		return nil, -1, errFallenBack
	}
	fmt.Fprintf(stderr, "ofpeak: the first process drives all GPUs of its host, the others end: %v\n", err)
	return nil, -1, nil
}
