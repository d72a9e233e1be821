package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// Two ranks on each of two hosts train together, and the worse the link between the hosts, the larger the part of a step that waits for it.
func TestTwoHosts(t *testing.T) {
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		if m.Name != "openmpi" {
			t.Skip("its launcher is not taught to start processes in a namespace")
		}
		hosts := mpitest.NewHosts(t)
		const gradients = 4 * 99968 // bytes, of the model tiny
		measure := func(link string) results.Row {
			t.Helper()
			csv, before := filepath.Join(t.TempDir(), "hosts.csv"), hosts.Sent(link)
			out, err := hosts.Run(2*time.Minute, m, 2, link, binary, "run", "--device", "cpu", "--case", "model=tiny,B=64 dp=4", "--seconds", "0.3", "--limit", "2", "--out", csv)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			file, err := results.Read(csv)
			if err != nil || len(file.Rows) != 1 || file.Rows[0].Status != results.OK || !strings.HasPrefix(file.Rows[0].Collectives, "Open MPI") {
				t.Fatalf("%v, %+v\n%s", err, file, out)
			}
			row := file.Rows[0]
			if sent, least := hosts.Sent(link)-before, int64(gradients*len(row.StepSamplesS)); sent < least {
				t.Errorf("%d bytes went from host to host, of %d at least", sent, least)
			}
			t.Logf("%s: a step of %.1f ms, %.1f ms of it exposed communication", link, 1e3*row.StepMedianS.Or(0), 1e3*row.CommExposedS.Or(0))
			return row
		}
		// On a busy machine ranks wait for cores too, whatever the link, so each link has three tries to show what it costs.
		hosts.Delay(2 * time.Millisecond)
		free := measure("fast")
		for tries := 1; !waitsMore(t, "delayed", measure("slow"), free, tries); tries++ {
			free = measure("fast")
		}
		const megabits = 200
		hosts.Limit(megabits)
		limited := measure("fast")
		for tries := 1; !waitsMore(t, "limited", limited, free, tries); tries++ {
			limited = measure("fast")
		}
		// Each host's sum of the gradients must reach the other one.
		if least := float64(gradients) * 8 / (megabits * 1e6); limited.StepMedianS.Or(0) < least {
			t.Errorf("a step of %v s over a link that takes %.4f s for its gradients", limited.StepMedianS, least)
		}
	})
}

// waitsMore reports whether a row waits for communication for a part of its step that is larger by a tenth of it. The third time that it does not is an error, and the last.
func waitsMore(t *testing.T, what string, row, than results.Row, tries int) bool {
	t.Helper()
	if share(row) >= share(than)+0.1 {
		return true
	}
	if tries == 3 {
		t.Errorf("%s: exposed communication is %.0f %% of a step, %.0f %% without", what, 100*share(row), 100*share(than))
	}
	return tries == 3
}

// share is the part of a step that waits for communication.
func share(row results.Row) float64 { return row.CommExposedS.Or(0) / row.StepMedianS.Or(1) }
