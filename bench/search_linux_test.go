package main

import (
	"bytes"
	"fmt"
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

// A search finds the same in one process and in one for each size that it tries. On simulated GPUs collectives take some of the memory.
func TestSearchOfIsolatedCasesOnSimulatedGPUs(t *testing.T) {
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	search := func(device string, more ...string) []string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "x.csv")
		cmd := exec.Command(this, append(searchArgs(device, out), more...)...)
		cmd.Env = append(os.Environ(), actAs+"=real")
		if printed, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		return searchRows(t, out)
	}
	here := search("cpu")
	if apart := search("cpu", "--isolate"); !slices.Equal(apart, here) {
		t.Errorf("isolated: %q; in one process %q", apart, here)
	}
	search("sim")
}

// The first process of a job decides what is tried next, or starts a job for each.
func TestSearchUnderMPI(t *testing.T) {
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		dir := t.TempDir()
		one, each := filepath.Join(dir, "one.csv"), filepath.Join(dir, "each.csv")
		if printed, err := m.Run(5*time.Minute, 2, binary, searchArgs("cpu", one)...); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		rows := searchRows(t, one)
		if m.Name != "openmpi" {
			return
		}
		cmd := exec.Command(binary, append(searchArgs("cpu", each), "--launcher", strings.Join(m.Args(2), " "))...)
		cmd.Env = mpitest.Env()
		if printed, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		if apart := searchRows(t, each); !slices.Equal(apart, rows) {
			t.Errorf("a job for each: %q; one job: %q", apart, rows)
		}
	})
}

func searchArgs(device, out string) []string {
	model := "C=16,NH=2,T=4,L=1,B=4"
	return []string{"run", "--device", device, "--seconds", "0.01", "--limit", "0.05", "--target", "50", "--out", out, "--largest", "B",
		"--case", "device=" + device + " model=" + model + " memory=80KiB dp=2 zero=3"}
}

// searchRows are what a CSV's searches found, each with what it says of the size.
func searchRows(t *testing.T, path string) []string {
	t.Helper()
	file, err := results.Read(path)
	if err != nil || len(file.Warnings) > 0 {
		t.Fatal(err, file.Warnings)
	}
	var got []string
	for _, row := range file.Rows {
		got = append(got, fmt.Sprintf("%s %s L=%d B=%d", row.Largest, row.Status, row.L, row.B))
		if refused := row.Status == results.Skipped; refused != strings.Contains(row.Reason, "out of device memory") || !refused && row.PeakBytesPerRank.Or(0) > row.MemoryLimitBytes.Or(0) {
			t.Errorf("%s: %s, %s, peak %v", row.Case, row.Status, row.Reason, row.PeakBytesPerRank)
		}
	}
	if len(got) != 2 || file.Rows[0].Status != results.OK || file.Rows[1].B != file.Rows[0].B+2 {
		t.Errorf("rows: %q", got)
	}
	return got
}

// The flag makes searches of any cases, and says so before it measures.
func TestRunLargest(t *testing.T) {
	f := &fakeRunner{}
	path := filepath.Join(t.TempDir(), "x.csv")
	args := []string{"run", "--suite", "smoke", "--technique", "baseline,data-parallel", "--precision", "fp32", "--engine", "native", "--pass", "train", "--largest", "L,B", "--memory", "1MiB"}
	_, list, _ := f.ofpeak(append(args, "--list")...)
	want := `technique=baseline precision=fp32 model=C=64,NH=4,T=32,L=1,B=8 memory=1MiB  # and up, to the largest L that fits
technique=baseline precision=fp32 model=C=64,NH=4,T=32,L=2,B=1 memory=1MiB  # and up, to the largest B that fits
technique=data-parallel precision=fp32 model=C=64,NH=4,T=32,L=1,B=8 dp=2 memory=1MiB  # and up, to the largest L that fits
technique=data-parallel precision=fp32 model=C=64,NH=4,T=32,L=2,B=2 dp=2 memory=1MiB  # and up, to the largest B that fits
`
	if list != want {
		t.Errorf("listed:\n%s", list)
	}
	if status, _, stderr := f.ofpeak(append(args, "--out", path)...); status != 0 || len(f.ran) != 4 {
		t.Errorf("status %d, ran %v, %s", status, f.ran, stderr)
	}
	cases := casesIn(t, path)
	if len(cases) != 8 || cases[2] != "technique=baseline precision=fp32 model=C=64,NH=4,T=32,L=2,B=12 memory=1MiB" || cases[7] != "technique=data-parallel precision=fp32 model=C=64,NH=4,T=32,L=2,B=26 dp=2 memory=1MiB" {
		t.Errorf("rows of %q", cases)
	}
	f = &fakeRunner{}
	if status, _, stderr := f.ofpeak(append(args, "--out", path, "--resume", "--retry", "skipped")...); status != 0 || len(f.ran) != 0 || !slices.Equal(casesIn(t, path), cases) {
		t.Errorf("resumed: status %d, ran %v, %s", status, f.ran, stderr)
	}
	var stdout, stderr bytes.Buffer
	if status := execute(newRootCmd(&stdout, &stderr, f.open), &stderr, []string{"run", "--largest", "C"}); status != 1 || stderr.String() != "ofpeak: --largest C is unknown; take one of L, B\n" {
		t.Errorf("status %d, %s", status, stderr.String())
	}
}
