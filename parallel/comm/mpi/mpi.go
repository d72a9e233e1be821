// Package mpi connects ranks that are processes, started by mpirun, mpiexec or srun, with an MPI library: Open MPI and MPICH (with what keeps to their
// binary interfaces), chosen when the process starts. Collectives are MPI's non-blocking ones, one under way per stream; while a call waits, its thread leaves
// the core to whoever computes.
//
// Sums are MPI's: in the order that its algorithm has, in the type of the operands; of 16-bit types each addition is made in float32 and rounded. All ranks
// get the same bits (MPI advises it, tests hold it), and get them again in the next run; they are not the bits that comm/local's order gives.
//
// It is built with the tag mpi and a C compiler. Without the tag Start says so.
package mpi

import (
	"os"
	"strconv"
)

// Launch is what the environment says of the job that this process belongs to.
type Launch struct {
	By        string // such as "mpirun (Open MPI)"
	Processes int    // 0: not told
	Rank      int    // of this one
	LocalRank int    // among those of its host; -1: not told
	LocalSize int    // ranks of its host; 0: not told
	Flavors   []string
}

// The MPI libraries, each with a shim of its own.
const (
	OpenMPI = "openmpi"
	MPICH   = "mpich"
)

// Env overrules which MPI is opened: "openmpi" or "mpich".
const Env = "OFPEAK_MPI"

// Launched reports whether a launcher of MPI processes started this one. A process of its own that only runs within a batch job was not.
func Launched() (Launch, bool) {
	var l Launch
	slurm := os.Getenv("SLURM_STEP_NUM_TASKS") != "" && os.Getenv("SLURM_PROCID") != ""
	switch {
	case os.Getenv("OMPI_COMM_WORLD_SIZE") != "":
		l = Launch{"mpirun (Open MPI)", number("OMPI_COMM_WORLD_SIZE"), number("OMPI_COMM_WORLD_RANK"), local("OMPI_COMM_WORLD_LOCAL_RANK"), number("OMPI_COMM_WORLD_LOCAL_SIZE"), []string{OpenMPI}}
	case slurm && os.Getenv("PMI_RANK") != "" && os.Getenv("PMIX_RANK") == "":
		l = Launch{"srun", number("SLURM_STEP_NUM_TASKS"), number("SLURM_PROCID"), local("SLURM_LOCALID"), 0, []string{MPICH, OpenMPI}}
	case slurm:
		l = Launch{"srun", number("SLURM_STEP_NUM_TASKS"), number("SLURM_PROCID"), local("SLURM_LOCALID"), 0, []string{OpenMPI, MPICH}}
	case os.Getenv("PMIX_RANK") != "":
		l = Launch{"a PMIx launcher", 0, number("PMIX_RANK"), -1, 0, []string{OpenMPI, MPICH}}
	case os.Getenv("PMI_RANK") != "":
		l = Launch{"mpiexec (MPICH)", number("PMI_SIZE"), number("PMI_RANK"), local("MPI_LOCALRANKID"), number("MPI_LOCALNRANKS"), []string{MPICH, OpenMPI}}
	default:
		return l, false
	}
	if name := os.Getenv(Env); name != "" {
		l.Flavors = []string{name}
	}
	return l, true
}

func number(env string) int {
	n, _ := strconv.Atoi(os.Getenv(env)) // not told
	return n
}

func local(env string) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return -1
}
