package main

import (
	"flag"
	"os"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// actAs names the variable that makes this test binary the command: on the "fake" device, whose cases take some milliseconds, or on the "real" one.
const actAs = "OFPEAK_TEST_ACT_AS"

// TestMain lets four of the tests that start processes run at once, whatever the cores: they mostly wait.
func TestMain(m *testing.M) {
	switch os.Getenv(actAs) {
	case "fake":
		f := &fakeRunner{during: func(int, *results.Row) { time.Sleep(5 * time.Millisecond) }}
		os.Exit(execute(newRootCmd(os.Stdout, os.Stderr, f.open), os.Stderr, os.Args[1:]))
	case "real":
		os.Exit(run(os.Stdout, os.Stderr, os.Args[1:]))
	}
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(mpitest.Main(m))
}
