//go:build gpu

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// process is one of a job of ofpeak-cuda, each of which has the interpreter for a driver and the stand-in for NCCL.
type process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// interpreted is the environment in which processes find both, and two GPUs.
func interpreted(t *testing.T) []string {
	t.Helper()
	simulated, standin, nccl := simulatedDriver(t), standin(t), t.TempDir()
	const library = "libnccl.so.2" // without the other stand-ins, which take the driver's for their own
	if err := os.Symlink(filepath.Join(standin, library), filepath.Join(nccl, library)); err != nil {
		t.Fatal(err)
	}
	return environment("LD_LIBRARY_PATH="+simulated+":"+nccl, "OFPEAK_STANDIN_DEVICES=2", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "UCX_LOG_LEVEL=error")
}

// started starts a process that a test ends in any case.
func started(t *testing.T, env []string, line ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(line[0], line[1:]...)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, &p.stderr, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// rendezvoused starts the processes of a job that no launcher knows, as torchrun would.
func rendezvoused(t *testing.T, env []string, binary string, args ...string) [2]*process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	var job [2]*process
	for rank := range job {
		own := append(slices.Clone(env), fmt.Sprintf("RANK=%d", rank), fmt.Sprintf("LOCAL_RANK=%d", rank), "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", fmt.Sprintf("MASTER_PORT=%d", port))
		job[rank] = started(t, own, append([]string{binary}, args...)...)
	}
	return job
}

// splits are cases of two ranks, and one of one.
func splits() (args []string) {
	for _, c := range []string{"dp=2 zero=3", "tp=2", "pp=2 schedule=1f1b microbatches=2", ""} {
		args = append(args, "--case", strings.TrimSpace("precision=bf16 model=C=16,NH=2,T=4,L=2,B=4 device=sim "+c))
	}
	return args
}

// Processes of a GPU each, started by MPI or by whatever sets RANK and WORLD_SIZE, measure and verify what one process of all GPUs does, and write the same rows.
func TestGPUProcessesMeasureAsOne(t *testing.T) {
	env, binary := interpreted(t), commands(t, "ofpeak", "ofpeak-cuda")+"-cuda"
	run := func(path string) []string { return append([]string{"run", "--out", path}, splits()...) }
	rows := func(t *testing.T, path string, p *process) []results.Row {
		t.Helper()
		err := p.cmd.Wait()
		file, readErr := results.Read(path)
		if err != nil || readErr != nil {
			t.Fatalf("%v, %v\n%s", err, readErr, p.stderr.String())
		}
		return file.Rows
	}
	one := filepath.Join(t.TempDir(), "rows.csv")
	want := rows(t, one, started(t, env, append([]string{binary}, run(one)...)...))
	check := func(t *testing.T, got []results.Row) {
		t.Helper()
		if len(got) != len(want) || len(got) != 4 {
			t.Fatalf("%d rows, of one process %d", len(got), len(want))
		}
		for i, row := range got {
			same := row.Case == want[i].Case && row.Ranks == want[i].Ranks && row.Collectives == want[i].Collectives && row.MaxRelError == want[i].MaxRelError &&
				row.LossFirst == want[i].LossFirst && row.CommBytes == want[i].CommBytes && row.PeakBytesPerRank == want[i].PeakBytesPerRank && row.DeviceName == want[i].DeviceName
			if row.Status != results.OK || row.Device != results.Sim || !row.MaxRelError.Known() || row.Ranks == 2 && row.Collectives != "NCCL 2.21.5" || !same {
				t.Errorf("got %+v\nof one process %+v", row, want[i])
			}
		}
	}
	t.Run("rendezvous", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "rows.csv")
		job := rendezvoused(t, env, binary, run(path)...)
		check(t, rows(t, path, job[0]))
		if err := job[1].cmd.Wait(); err != nil {
			t.Errorf("the second process: %v\n%s", err, job[1].stderr.String())
		}
	})
	for _, m := range mpitest.Find() {
		t.Run(m.Name, func(t *testing.T) {
			if out, err := exec.Command("../scripts/mpi-shims.sh", filepath.Dir(binary)).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			path := filepath.Join(t.TempDir(), "rows.csv")
			check(t, rows(t, path, started(t, env, append(append(m.Args(2), binary), run(path)...)...)))
		})
	}
	if len(mpitest.Find()) == 0 {
		t.Log("no MPI with its compiler here; apt install openmpi-bin libopenmpi-dev, or mpich libmpich-dev")
	}
}

// A process that is killed in a case costs its row and those that need its GPU; the others are measured, and nothing hangs.
func TestGPUProcessThatIsKilled(t *testing.T) {
	env, binary, path := interpreted(t), commands(t, "ofpeak", "ofpeak-cuda")+"-cuda", filepath.Join(t.TempDir(), "rows.csv")
	args := []string{"run", "--out", path}
	for _, c := range []string{"C=16,NH=2,T=4,L=1,B=2 dp=2", "C=32,NH=4,T=16,L=8,B=8 dp=2 zero=2", "C=16,NH=2,T=4,L=1,B=2 dp=2 seed=2", "C=16,NH=2,T=4,L=1,B=2"} {
		args = append(args, "--case", "precision=bf16 device=sim model="+c)
	}
	job := rendezvoused(t, env, binary, args...)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if file, err := results.Read(path); err == nil && len(file.Rows) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no row\n%s", job[0].stderr.String())
		}
	}
	time.Sleep(500 * time.Millisecond) // into the steps of the second case, which take seconds
	if err := job[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = job[1].cmd.Wait()
	killed := time.Now()
	time.AfterFunc(2*time.Minute, func() { _ = job[0].cmd.Process.Kill() })
	_ = job[0].cmd.Wait()
	if took := time.Since(killed); job[0].cmd.ProcessState.ExitCode() != 1 || took > time.Minute {
		t.Errorf("the first process ended with %v, %v later\n%s", job[0].cmd.ProcessState, took, job[0].stderr.String())
	}
	file, err := results.Read(path)
	if err != nil || len(file.Rows) != 4 {
		t.Fatalf("%v, %d rows\n%s", err, len(file.Rows), job[0].stderr.String())
	}
	for i, want := range []string{"", "rank 1 is gone", "an earlier case cost the job a rank (rank 1 is gone", ""} {
		row := file.Rows[i]
		if (row.Status == results.OK) != (want == "") || want != "" && (row.Status != results.Failed || !strings.HasPrefix(row.Reason, want)) {
			t.Errorf("row %d: %s: %s", i, row.Status, row.Reason)
		}
	}
}
