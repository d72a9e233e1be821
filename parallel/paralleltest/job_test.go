//go:build mpi

package paralleltest_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/mpi"
	"ofpeak/parallel/paralleltest"
)

// job is this process's, if a launcher started it.
var job comm.Processes

func TestMain(m *testing.M) {
	if _, ok := mpi.Launched(); !ok {
		os.Exit(m.Run())
	}
	var err error
	if job, err = mpi.Start(comm.DefaultStall); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if status := m.Run(); status != 0 {
		job.Die(status)
	}
	if err := job.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Every strategy (under MPICH, whose own waits are slow where cores are few, those of language models) whose world is more than half of the job, so that smaller worlds are tested within larger ones, and no strategy twice in jobs of 2, 4 and 8.
func TestJob(t *testing.T) {
	if job == nil {
		t.Skip("no launcher started this process; TestUnderMPI starts it under each")
	}
	cases := slices.DeleteFunc(paralleltest.Cases(), func(c paralleltest.Case) bool {
		world := c.Strategy.Mesh().World()
		return world > job.Size() || world <= job.Size()/2 || strings.HasPrefix(job.Version(), "MPICH") && c.Name != "lm" && c.Name != "long lm"
	})
	p, _ := kernels.PrecisionNamed("fp64")
	o := paralleltest.Options{Open: openRef, Processes: job, Precision: p, Tolerance: 1e-10, Cases: cases}
	if end, ok := t.Deadline(); ok {
		o.Deadline = end.Add(-15 * time.Second)
	}
	paralleltest.Run(t, o)
}
