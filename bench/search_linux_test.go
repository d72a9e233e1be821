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
	t.Parallel()
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

// The fastest split is searched for in one process, in one for each finalist, and on simulated GPUs.
func TestAutoOfIsolatedCasesOnSimulatedGPUs(t *testing.T) {
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"cpu", "C=16,NH=2,T=4,L=2,B=4", "--ranks", "4"}, {"cpu", batchOnly, "--ranks", "2", "--isolate"}, {"sim", batchOnly, "--gpus", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "x.csv")
			cmd := exec.Command(this, append(autoArgs(args[0], args[1], out), args[2:]...)...)
			cmd.Env = append(os.Environ(), actAs+"=real")
			printed, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, printed)
			}
			if !strings.Contains(string(printed), "ways to split") || !strings.Contains(string(printed), "chosen") {
				t.Errorf("nothing is explained:\n%s", printed)
			}
			autoRows(t, out)
		})
	}
}

// batchOnly is a model that can only be split by its batch, which leaves two finalists.
const batchOnly = "C=16,NH=1,T=4,L=1,B=2"

func autoArgs(device, model, out string) []string {
	return []string{"run", "--auto", "--device", device, "--model", model, "--seconds", "0.01", "--limit", "0.05", "--target", "50", "--out", out}
}

// autoRows checks the rows of one search.
func autoRows(t *testing.T, path string) {
	t.Helper()
	file, err := results.Read(path)
	if err != nil || len(file.Warnings) > 0 {
		t.Fatal(err, file.Warnings)
	}
	chosen, finalists := 0, 0
	fastest := 0.0
	for _, row := range file.Rows {
		if row.Status != results.OK {
			t.Errorf("%s: %s %s", row.Case, row.Status, row.Reason)
		}
		if row.Auto == "" {
			continue
		}
		if finalists++; row.Auto == results.Chosen {
			chosen++
			fastest = row.TokensPerS.Or(0)
		}
		if simulated := row.Device == results.Sim; row.PredictedStepS.Known() == simulated || row.TokensPerS.Or(0) > fastest {
			t.Errorf("%s: predicted %v, %v tokens/s of %v", row.Case, row.PredictedStepS, row.TokensPerS, fastest)
		}
	}
	if chosen != 1 || finalists < 2 {
		t.Errorf("%d of %d finalists chosen", chosen, finalists)
	}
}

// The first process of a job decides what is tried next, or starts a job for each. Searches within a job are alike under every MPI.
func TestSearchUnderMPI(t *testing.T) {
	t.Parallel()
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		t.Parallel()
		dir := t.TempDir()
		split, one, each := filepath.Join(dir, "split.csv"), filepath.Join(dir, "one.csv"), filepath.Join(dir, "each.csv")
		if printed, err := m.Run(5*time.Minute, 2, binary, autoArgs("cpu", batchOnly, split)...); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		autoRows(t, split)
		if m.Name != "openmpi" {
			return
		}
		if printed, err := m.Run(5*time.Minute, 2, binary, searchArgs("cpu", one)...); err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		rows := searchRows(t, one)
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

// What a search chooses is not the user's to say, and --list says what is searched.
func TestRunAuto(t *testing.T) {
	for _, flag := range chosen {
		value := map[string]string{"case": "model=tiny", "sequence-parallel": "true"}[flag]
		if value == "" {
			value = "1"
		}
		want := "ofpeak: --auto and --" + flag + ": the search chooses how to train; drop one\n"
		if flag == "case" {
			want = "ofpeak: --auto and --case"
		}
		if status, _, stderr := (&fakeRunner{}).ofpeak("run", "--auto", "--"+flag+"="+value); status != 1 || !strings.HasPrefix(stderr, want) {
			t.Errorf("--%s: status %d, %s", flag, status, stderr)
		}
	}
	f := &fakeRunner{}
	_, list, _ := f.ofpeak("run", "--auto", "--list", "--ranks", "2,4", "--memory", "64MiB")
	want := `technique=baseline precision=fp32 model=small
technique=baseline precision=fp32 model=small threads=1
technique=data-parallel precision=fp32 model=small dp=2 memory=64MiB  # and every other way to split it, for the fastest
technique=data-parallel precision=fp32 model=small dp=4 memory=64MiB  # and every other way to split it, for the fastest
`
	if list != want {
		t.Errorf("listed:\n%s", list)
	}
	out := filepath.Join(t.TempDir(), "x.csv")
	status, stdout, stderr := f.ofpeak("run", "--auto", "--json", "--model", "tiny", "--ranks", "2", "--out", out)
	if status != 0 || strings.Count(stdout, `"event":"auto"`) != 1 || !strings.Contains(stdout, `"chosen":"technique=`) || strings.Count(stdout, `"predicted_step_s"`) != 4 {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
	autoRows(t, out)
}
