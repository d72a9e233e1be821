package mpi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/mpi"
	"ofpeak/parallel/comm/mpi/mpitest"
)

// The engine's contract, between processes, of each MPI that is here.
func TestUnderMPI(t *testing.T) {
	mpitest.Each(t, ".", true, func(t *testing.T, m mpitest.MPI, binary string) {
		for _, processes := range []int{2, 3, 6} {
			t.Run(fmt.Sprint(processes), func(t *testing.T) {
				const limit = 2 * time.Minute
				out, err := m.Run(limit, processes, binary, "-test.run", "TestJob", "-test.v", "-test.timeout", (limit - 15*time.Second).String())
				if err != nil || strings.Count(out, "--- PASS: TestJobConforms ") != processes {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	})
}

func TestLaunched(t *testing.T) {
	for _, test := range []struct {
		name    string
		env     map[string]string
		by      string
		n       int
		flavors string
	}{
		{"alone", nil, "", 0, "[]"},
		{"in a batch job, but not by srun", map[string]string{"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, "", 0, "[]"},
		{"Open MPI", map[string]string{"OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "0"}, "mpirun (Open MPI)", 4, "[openmpi]"},
		{"MPICH", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "3"}, "mpiexec (MPICH)", 3, "[mpich openmpi]"},
		{"srun with PMIx", map[string]string{"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0", "PMIX_RANK": "0"}, "srun", 8, "[openmpi mpich]"},
		{"srun with PMI2", map[string]string{"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0", "PMI_RANK": "0"}, "srun", 8, "[mpich openmpi]"},
		{"forced", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "3", mpi.Env: "openmpi"}, "mpiexec (MPICH)", 3, "[openmpi]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", mpi.Env} {
				t.Setenv(name, test.env[name])
			}
			l, ok := mpi.Launched()
			if ok != (test.by != "") || l.By != test.by || l.Processes != test.n || fmt.Sprint(l.Flavors) != test.flavors {
				t.Errorf("%+v, %v", l, ok)
			}
		})
	}
}

func TestStartWithoutALauncher(t *testing.T) {
	for _, name := range []string{"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "PMIX_RANK", "PMI_RANK"} {
		t.Setenv(name, "")
	}
	if _, err := mpi.Start(comm.DefaultStall); err == nil {
		t.Error("a world of nothing")
	}
}
