package paralleltest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
)

// Every strategy computes between processes what one rank computes, in even and odd worlds, in the whole job and in a part of it.
func TestUnderMPI(t *testing.T) {
	t.Parallel()
	jobs := map[string][]int{"openmpi": {2, 3, 4, 8}, "mpich": {3}}
	mpitest.Each(t, ".", true, func(t *testing.T, m mpitest.MPI, binary string) {
		for _, processes := range jobs[m.Name] {
			t.Run(fmt.Sprint(processes), func(t *testing.T) {
				const limit = 5 * time.Minute
				out, err := m.Run(limit, processes, binary, "-test.run", "TestJob", "-test.v", "-test.timeout", (limit - 15*time.Second).String())
				if ran := strings.Count(out, "    --- PASS: TestJob/"); err != nil || ran < 4*processes || strings.Count(out, "--- PASS: TestJob ") != processes {
					t.Errorf("%v, %d cases passed\n%s", err, ran, out)
				}
			})
		}
	})
}
