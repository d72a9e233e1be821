//go:build mpi

package mpi_test

import (
	"fmt"
	"os"
	"testing"

	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/commtest"
	"ofpeak/parallel/comm/mpi"
)

// job is this process's, if a launcher started it; the tests of this file then run in all its processes alike.
var job comm.Processes

func TestMain(m *testing.M) {
	status := 0
	if _, ok := mpi.Launched(); ok {
		var err error
		if job, err = mpi.Start(comm.DefaultStall); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	status = m.Run()
	if job != nil {
		if status != 0 {
			job.Die(status)
		}
		if err := job.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

func needJob(t *testing.T) {
	t.Helper()
	if job == nil {
		t.Skip("no launcher started this process; TestUnderMPI starts it under each")
	}
}

func TestJobConforms(t *testing.T) {
	needJob(t)
	commtest.Run(t, job.Size(), func(ranks int, body func(c comm.Communicator) error) error {
		c, err := job.Connect(ranks)
		if err != nil || c == nil {
			return err
		}
		if err := body(c); err != nil {
			return err
		}
		return job.Release()
	})
}
