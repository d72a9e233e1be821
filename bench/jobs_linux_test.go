package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// A rank that dies or stops at any point costs its case a failed row that says what each rank did, within ten seconds, and nothing else: the next case runs, and no
// process is left. OFPEAK_KILLS is how often, 10 unless it is set.
func TestKilledRanks(t *testing.T) {
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("OFPEAK_KILLS")); err == nil {
		kills = n
	}
	t.Parallel()
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		if m.Name != "openmpi" && os.Getenv("OFPEAK_KILLS") == "" {
			t.Skip("set OFPEAK_KILLS to kill ranks of this MPI too")
		}
		out := filepath.Join(t.TempDir(), "kills.csv")
		args := []string{"run", "--device", "cpu", "--launcher", strings.Join(m.Args(2), " "), "--seconds", "600", "--limit", "600", "--out", out}
		for i := range kills {
			args = append(args, "--case", fmt.Sprintf("model=small dp=2 seed=%d", 2+i)) // seed 1 would go unnamed
		}
		cmd := exec.Command(binary, args...)
		cmd.Env = mpitest.Env()
		var printed bytes.Buffer
		cmd.Stdout, cmd.Stderr = &printed, &printed
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		slowest, late := map[syscall.Signal]time.Duration{}, 0
		for i := range kills {
			signal := syscall.SIGKILL
			if i%4 == 3 {
				signal = syscall.SIGSTOP
			}
			took, starved, err := killOne(binary, out, i, signal)
			if err != nil {
				left := processTree(t)
				cmd.Process.Kill()
				<-ended
				t.Fatalf("kill %d: %v\n%s\n%s", i, err, left, printed.String())
			}
			if slowest[signal] = max(slowest[signal], took); took > 10*time.Second {
				late++
				t.Logf("kill %d: a row after %.1f s of %v, in which this test waited %.1f s for a core", i, took.Seconds(), signal, starved.Seconds())
			}
		}
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			t.Fatal("the sweep does not end")
		}
		file, err := results.Read(out)
		if err != nil || len(file.Rows) != kills {
			t.Fatalf("%d rows, want %d: %v", len(file.Rows), kills, err)
		}
		for _, row := range file.Rows {
			if row.Status != results.Failed || !strings.Contains(row.Reason, "rank ") {
				t.Errorf("%s: %s: %s", row.Case, row.Status, row.Reason)
			}
		}
		if left := running(binary, ""); len(left) > 0 {
			t.Errorf("processes are left: %v", left)
		}
		t.Logf("%d ranks; the slowest took %.1f s from SIGKILL and %.1f s from SIGSTOP to its failed row, %d more than 10 s", kills, slowest[syscall.SIGKILL].Seconds(), slowest[syscall.SIGSTOP].Seconds(), late)
	})
}

// killOne waits for the n-th case's ranks, kills or stops one after a while, and returns how long the row took, and how much of that naps of its own were too long.
func killOne(binary, out string, n int, signal syscall.Signal) (took, starved time.Duration, err error) {
	var ranks []int
	for end := time.Now().Add(time.Minute); len(ranks) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return 0, 0, fmt.Errorf("no ranks came")
		}
		ranks = ranksOf(binary, n)
	}
	time.Sleep(time.Duration(300+rand.IntN(1500)) * time.Millisecond)
	begin := time.Now()
	_ = syscall.Kill(ranks[rand.IntN(2)], signal)
	for time.Since(begin) < 30*time.Second {
		if lines(out) > n+1 {
			return time.Since(begin), starved, nil
		}
		const nap = 20 * time.Millisecond
		lay := time.Now()
		time.Sleep(nap)
		starved += time.Since(lay) - nap
	}
	return 0, starved, fmt.Errorf("%v of a rank led to no row; meanwhile this test waited %.1f s for a core", signal, starved.Seconds())
}

// ranksOf are the n-th case's. Where others take the cores, ranks of the case before may still be on their way out, and a signal to one of them would hit nothing.
func ranksOf(binary string, n int) []int {
	return slices.DeleteFunc(running(binary, "case"), func(pid int) bool {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return !bytes.Contains(line, fmt.Appendf(nil, "seed=%d\"", 2+n))
	})
}

// processTree tells what all processes are doing, for whoever looks into a job that hangs.
func processTree(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "pid,ppid,pgid,stat,wchan:20,etimes,args", "--forest").CombinedOutput()
	if err != nil {
		t.Log(err)
	}
	return string(out)
}

func lines(path string) int {
	data, _ := os.ReadFile(path)
	return bytes.Count(data, []byte("\n"))
}
