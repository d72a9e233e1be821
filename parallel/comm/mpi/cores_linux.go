//go:build mpi

package mpi

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// cores is how many the processes of this host share: the launcher's, which binds each of them to some.
func cores() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(os.Getppid(), &set) == nil && set.Count() > 0 {
		return set.Count()
	}
	return runtime.NumCPU()
}
