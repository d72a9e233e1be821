//go:build mpi && !linux

package mpi

import "runtime"

// cores is how many the processes of this host share, as far as is known here.
func cores() int { return runtime.NumCPU() }
