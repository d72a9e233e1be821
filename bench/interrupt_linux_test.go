package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// longJob is a sweep of more cases of two ranks than it will get to: by one job for all, or by one for each case.
type longJob struct {
	binary, out string
	cmd         *exec.Cmd
	printed     bytes.Buffer
	ended       chan error
	careless    bool // its launcher, of what ranks return
}

func startLongJob(t *testing.T, m mpitest.MPI, binary string, jobEach bool) *longJob {
	t.Helper()
	j := &longJob{binary: binary, out: filepath.Join(t.TempDir(), "long.csv"), ended: make(chan error, 1), careless: len(m.Options) > 0 && !jobEach}
	line := append(m.Args(2), binary, "run")
	if jobEach {
		line = []string{binary, "run", "--launcher", strings.Join(m.Args(2), " ")}
	}
	line = append(line, "--device", "cpu", "--seconds", "0.01", "--limit", "0.1", "--out", j.out)
	for i := range 40 {
		line = append(line, "--case", fmt.Sprintf("model=tiny dp=2 seed=%d", i+1))
	}
	j.cmd = exec.Command(line[0], line[1:]...)
	j.cmd.Env = append(mpitest.Env(), j.token())
	j.cmd.Stdout, j.cmd.Stderr = &j.printed, &j.printed
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as on a terminal
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { j.ended <- j.cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGKILL) })
	for end := time.Now().Add(2 * time.Minute); lines(j.out) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no row came\n%s", j.printed.String())
		}
	}
	return j
}

// token is in the environment of all processes of the sweep.
func (j *longJob) token() string { return "OFPEAK_TEST_TOKEN=" + j.out }

// rank is the process of a rank of the job of all cases.
func (j *longJob) rank(t *testing.T, rank int) int {
	t.Helper()
	for _, pid := range running(j.binary, "run") {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		for _, name := range []string{"OMPI_COMM_WORLD_RANK", "PMI_RANK"} {
			if bytes.Contains(env, []byte(j.token()+"\x00")) && bytes.Contains(env, []byte(fmt.Sprintf("%s=%d\x00", name, rank))) {
				return pid
			}
		}
	}
	t.Fatalf("no rank %d", rank)
	return 0
}

// end waits until the sweep has ended, and gives its rows.
func (j *longJob) end(t *testing.T) []results.Row {
	t.Helper()
	begin := time.Now()
	select {
	case err := <-j.ended:
		if err == nil && !j.careless {
			t.Error("exit status 0")
		}
	case <-time.After(time.Minute):
		t.Fatalf("the sweep does not end\n%s", j.printed.String())
	}
	t.Logf("ended after %.1f s", time.Since(begin).Seconds())
	for end := time.Now().Add(5 * time.Second); len(bearing(j.token())) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("processes are left: %v", bearing(j.token()))
		}
	}
	file, err := results.Read(j.out)
	if err != nil || len(file.Rows) == 0 || len(file.Warnings) > 0 {
		t.Fatalf("%v, %d rows, %v", err, len(file.Rows), file.Warnings)
	}
	return file.Rows
}

// A sweep that is interrupted, or of which something is stopped, ends or goes on within seconds: no row is torn, no process is left. The cases mostly wait, so they run
// at once. OFPEAK_KILLS tries them all with MPICH too.
func TestJobsCutShort(t *testing.T) {
	t.Parallel()
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		t.Parallel()
		for _, test := range []struct {
			name    string
			jobEach bool
			cut     func(t *testing.T, m mpitest.MPI, j *longJob)
		}{
			{"a job of all cases, ctrl-C", false, interrupted(syscall.SIGINT)},
			{"a job of all cases, SIGTERM", false, interrupted(syscall.SIGTERM)},
			{"a job for each case, ctrl-C", true, interrupted(syscall.SIGINT)},
			{"a job for each case, SIGTERM", true, interrupted(syscall.SIGTERM)},
			{"a stopped rank", false, stoppedRank},
			{"the first rank stopped", false, stoppedFirst},
			{"a stopped launcher", true, stoppedLauncher},
			{"a lost rank unnoticed", false, lostRank},
			{"a lost rank of a case unnoticed", true, lostRankOfCase},
		} {
			m := m
			if strings.HasSuffix(test.name, "unnoticed") {
				if m.Name != "openmpi" {
					continue
				}
				m = m.Careless()
			}
			if m.Name == "openmpi" || os.Getenv("OFPEAK_KILLS") != "" || test.name == "a stopped rank" {
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					test.cut(t, m, startLongJob(t, m, binary, test.jobEach))
				})
			}
		}
	})
}

// interrupted sends a signal to a sweep as a terminal does, or as kill: it ends, its launcher and all ranks with it, and the rows so far are good.
func interrupted(signal syscall.Signal) func(*testing.T, mpitest.MPI, *longJob) {
	return func(t *testing.T, _ mpitest.MPI, j *longJob) {
		whom := j.cmd.Process.Pid
		if signal == syscall.SIGINT {
			whom = -whom // all in the foreground
		}
		if err := syscall.Kill(whom, signal); err != nil {
			t.Fatal(err)
		}
		for _, row := range j.end(t) {
			if row.Status == results.Failed || row.Status == results.Wrong {
				t.Errorf("%s: %s: %s", row.Case, row.Status, row.Reason)
			}
		}
	}
}

// stoppedRank stops the second rank of a job of all cases: the job ends with a row that says so.
func stoppedRank(t *testing.T, _ mpitest.MPI, j *longJob) { stoppedOrLost(t, j, syscall.SIGSTOP) }

func stoppedOrLost(t *testing.T, j *longJob, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(j.rank(t, 1), signal); err != nil {
		t.Fatal(err)
	}
	rows := j.end(t)
	if last := rows[len(rows)-1]; last.Status != results.Failed || !strings.Contains(last.Reason, "silent for ") && !strings.Contains(last.Reason, "cost the job a rank") {
		t.Errorf("%s: %s\n%s", last.Status, last.Reason, j.printed.String())
	}
}

// stoppedFirst stops the rank that writes the rows: the job ends with those that it had.
func stoppedFirst(t *testing.T, _ mpitest.MPI, j *longJob) {
	if err := syscall.Kill(j.rank(t, 0), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, row := range j.end(t) {
		if row.Status == results.Failed || row.Status == results.Wrong {
			t.Errorf("%s: %s", row.Status, row.Reason)
		}
	}
}

// stoppedLauncher stops the launcher of a case's own job, which costs that case and no other.
func stoppedLauncher(t *testing.T, m mpitest.MPI, j *longJob) {
	stopped := 0
	for end := time.Now().Add(time.Minute); stopped == 0 && time.Now().Before(end); {
		for _, pid := range running(m.Launcher, "") {
			if parent(pid) == j.cmd.Process.Pid && syscall.Kill(pid, syscall.SIGSTOP) == nil {
				stopped = pid
			}
		}
	}
	var failed results.Row
	for end := time.Now().Add(time.Minute); failed.Case == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no failed row")
		}
		file, err := results.Read(j.out)
		if err != nil || file.Rows[len(file.Rows)-1].Status != results.OK {
			continue
		}
		for _, row := range file.Rows {
			if row.Status == results.Failed {
				failed = row // and a good one after it
			}
		}
	}
	if want := fmt.Sprintf("process %d was stopped by a signal for 8s", stopped); !strings.HasPrefix(failed.Reason, want) {
		t.Errorf("%s, want %q", failed.Reason, want)
	}
	if err := syscall.Kill(j.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	j.end(t)
}

// lostRank kills the second rank of a job of all cases whose launcher lets the first go on: it says so, and ends the job.
func lostRank(t *testing.T, m mpitest.MPI, j *longJob) {
	begin := time.Now()
	stoppedOrLost(t, j, syscall.SIGKILL)
	if took := time.Since(begin); took > promised {
		t.Errorf("ended after %.1f s", took.Seconds())
	}
}

// promised is how long a rank that is gone may hold up others.
const promised = 10 * time.Second

// lostRankOfCase kills ranks of cases with a job each, whose launchers let the others go on: at once when it is there, so that those wait in MPI's own start, and later. The case fails and the next ones
// run.
func lostRankOfCase(t *testing.T, m mpitest.MPI, j *longJob) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond} {
		begin, victim := time.Now(), 0
		for victim == 0 && time.Since(begin) < time.Minute {
			if ranks := j.ranksOfCase(); len(ranks) == 2 {
				victim = ranks[1]
			}
		}
		time.Sleep(after)
		begin = time.Now()
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
			t.Log(err) // it has ended meanwhile
			continue
		}
		for rows := lines(j.out); lines(j.out) == rows; time.Sleep(5 * time.Millisecond) {
			if time.Since(begin) > promised {
				t.Fatalf("no row %v after a rank was killed\n%s", promised, j.printed.String())
			}
		}
	}
	if err := syscall.Kill(j.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, row := range j.end(t) {
		if row.Status == results.Failed {
			failed++
			t.Log(row.Reason)
		}
	}
	if failed == 0 {
		t.Error("no row failed")
	}
}

// ranksOfCase are the processes of the ranks of the case that is measured.
func (j *longJob) ranksOfCase() []int {
	return slices.DeleteFunc(running(j.binary, "case"), func(pid int) bool {
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		return !bytes.Contains(env, []byte(j.token()+"\x00"))
	})
}

// running are the processes of a program, with a command if it is not "".
func running(program, command string) []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		prefix := program + "\x00"
		if command != "" {
			prefix += command + "\x00"
		}
		if bytes.HasPrefix(line, []byte(prefix)) {
			var pid int
			if _, err := fmt.Sscan(filepath.Base(dir), &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// parent is a process's.
func parent(pid int) int {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	var of int
	if i := bytes.LastIndex(stat, []byte(") ")); i >= 0 {
		var state string
		fmt.Sscan(string(stat[i+2:]), &state, &of)
	}
	return of
}
