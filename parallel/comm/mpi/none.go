//go:build !mpi

package mpi

import (
	"errors"
	"time"

	"ofpeak/parallel/comm"
)

// Built reports whether this build can open an MPI library.
const Built = false

// Start says that this build cannot.
func Start(time.Duration) (comm.Processes, error) {
	return nil, errors.New("this build opens no MPI library; make mpi builds bin/ofpeak-mpi, which does")
}
