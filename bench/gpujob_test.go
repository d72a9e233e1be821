//go:build gpu

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"ofpeak/kernels/cuda/driver/ptxsim"
)

// A process that others were started with joins them; where that cannot be, the first goes on alone and says why, and the others end.
func TestGPUJobs(t *testing.T) {
	library, err := ptxsim.New(ptxsim.Config{Collectives: true}).Collectives()
	if err != nil {
		t.Fatal(err)
	}
	none := errors.New("there is no NCCL")
	for name, c := range map[string]struct {
		env      map[string]string
		none     error
		says     string
		ends, is bool
	}{
		"alone":            {},
		"one of one":       {env: map[string]string{"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}},
		"first, no NCCL":   {env: map[string]string{"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}, none: none, says: "the first process drives all GPUs of its host, the others end: there is no NCCL"},
		"second, no NCCL":  {env: map[string]string{"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}, none: none, ends: true},
		"mpirun, no NCCL":  {env: map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}, none: none, ends: true},
		"mpirun -np 1":     {env: map[string]string{"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, none: none},
		"first, port used": {env: map[string]string{"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "99999"}, says: "the others end: rank 0 of 2 at localhost:99999: "},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"} {
				t.Setenv(v, c.env[v])
			}
			var stderr bytes.Buffer
			job, local, err := joinGPUs(&stderr, 0, library, c.none)
			if job != nil || local != -1 || errors.Is(err, errFallenBack) != c.ends || err != nil && !c.ends {
				t.Errorf("got %v, %d, %v", job, local, err)
			}
			if got := stderr.String(); (got != "") != (c.says != "") || !strings.Contains(got, c.says) {
				t.Errorf("says %q", got)
			}
		})
	}
	t.Setenv("RANK", "2")
	t.Setenv("WORLD_SIZE", "2")
	t.Setenv("MASTER_ADDR", "localhost")
	t.Setenv("MASTER_PORT", "1")
	if _, _, err := joinGPUs(&bytes.Buffer{}, 0, library, nil); err == nil || !strings.Contains(err.Error(), "RANK=2 does not lie in WORLD_SIZE=2") {
		t.Errorf("a rank past the last: %v", err)
	}
}
