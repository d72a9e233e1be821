package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/mpi"
)

// errFallenBack ends a process of a job that only its first process goes on with.
var errFallenBack = errors.New("the first process measures alone")

// mate is a runner that may be one of several processes of a job.
type mate interface {
	Processes() int
	Following() bool
	Follow(ctx context.Context) error
}

// processes is how many a runner's job has.
func processes(r runner) int {
	if m, ok := r.(mate); ok {
		return m.Processes()
	}
	return 1
}

// follow takes part in what the first process of a job measures; false if this is the first, or alone.
func follow(ctx context.Context, r runner) (bool, error) {
	if m, ok := r.(mate); ok && m.Following() {
		return true, m.Follow(ctx)
	}
	return false, nil
}

// join makes this process one of its job, if a launcher such as mpirun started it, with its number among those of its host. Where MPI cannot be used the job's first process
// goes on alone, and says why; then, and where there is no job, ranks are goroutines.
func join(stderr io.Writer, stall time.Duration) (comm.Processes, int, error) {
	l, launched := mpi.Launched()
	if !launched {
		if mpi.Built && !thisBuild.cuda { // a build for launchers, which the CUDA build is besides
			fmt.Fprintln(stderr, "ofpeak: ranks are threads of this process: no launcher such as mpirun or srun started it")
		}
		return nil, -1, nil
	}
	job, err := mpi.Start(stall)
	if err == nil {
		if job.Rank() == 0 {
			fmt.Fprintf(stderr, "measuring with %d processes of %s as ranks, over %s\n", job.Size(), l.By, job.Version())
		}
		return job, l.LocalRank, nil
	}
	if l.Rank > 0 {
		return nil, -1, errFallenBack
	}
	fmt.Fprintf(stderr, "ofpeak: ranks are threads of the first process, the others end: %v\n", err)
	return nil, -1, nil
}
