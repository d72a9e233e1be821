package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ofpeak/results"
)

// victim is a sweep in a process of its own that is killed again and again, and goes on.
type victim struct {
	device string // fake or real
	args   []string
	path   string
	token  string // in the environment of all its processes
	random *rand.Rand
	done   map[string]bool // cases that a sweep has said to be finished
}

// round starts the sweep and kills it at a random moment, if it does not end before. It reports whether it was killed.
func (v *victim) round(t *testing.T) (killed bool) {
	t.Helper()
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(this, append([]string{"run", "--isolate", "--resume", "--json", "--out", v.path}, v.args...)...)
	cmd.Env = append(os.Environ(), actAs+"="+v.device, v.token)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	left := v.random.IntN(16) - 1 // events until then; -1: while it starts
	if left < 0 {
		time.AfterFunc(time.Duration(v.random.IntN(100))*time.Millisecond, kill)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == "end" {
			v.done[e.Case] = true
		}
		if left--; left == 0 {
			time.AfterFunc(time.Duration(v.random.IntN(30000))*time.Microsecond, kill)
		}
	}
	err = cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() >= 0 {
		t.Fatalf("the sweep ended with %v: %s", err, errs.String())
	}
	return err != nil
}

// check holds that no finished row is lost, none is there twice, and no process is left.
func (v *victim) check(t *testing.T) []string {
	t.Helper()
	var cases []string
	if file, err := results.Read(v.path); err == nil {
		for _, row := range file.Rows {
			cases = append(cases, row.Case)
			if row.Status == results.Failed {
				t.Errorf("%s failed: %s", row.Case, row.Reason)
			}
		}
	} else if len(v.done) > 0 {
		t.Fatalf("the file cannot be read: %v", err)
	}
	for c := range v.done {
		if !slices.Contains(cases, c) {
			t.Errorf("the finished row of %s is lost", c)
		}
	}
	if sorted := slices.Sorted(slices.Values(cases)); len(slices.Compact(sorted)) != len(cases) {
		t.Errorf("a case has two rows: %q", cases)
	}
	for end := time.Now().Add(20 * time.Second); len(bearing(v.token)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("processes are left: %v", bearing(v.token))
		}
	}
	return cases
}

// bearing are the processes with this in their environment.
func bearing(entry string) []string {
	var pids []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range files {
		if env, err := os.ReadFile(f); err == nil && bytes.Contains(env, []byte(entry+"\x00")) {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

// A sweep that is killed at any moment loses no finished row, repeats none when it goes on, and leaves no process. OFPEAK_KILLS=300 does it so often, and
// with the real device too.
func TestKilledSweepLosesNothing(t *testing.T) {
	devices, kills := []string{"fake"}, 15
	if long := os.Getenv("OFPEAK_KILLS"); long != "" {
		n, err := strconv.Atoi(long)
		if err != nil {
			t.Fatal(err)
		}
		devices, kills = []string{"fake", "real"}, n
	}
	for _, device := range devices {
		t.Run(device, func(t *testing.T) {
			args := []string{"--suite", "smoke"}
			if device == "real" {
				args = []string{"--device", "cpu", "--suite", "smoke", "--technique", "baseline,sparse", "--engine", "native", "--seconds", "0.01"}
			}
			_, list, _ := (&fakeRunner{}).ofpeak(append([]string{"run", "--list"}, args...)...)
			want := strings.Count(list, "\n")
			sweeps := 0
			for done := 0; done < kills; sweeps++ {
				v := &victim{device: device, args: args, path: filepath.Join(t.TempDir(), "x.csv"), random: rand.New(rand.NewPCG(1, uint64(sweeps))), done: map[string]bool{}}
				v.token = fmt.Sprintf("OFPEAK_TEST_TOKEN=%d-%d", os.Getpid(), sweeps)
				for v.round(t) {
					v.check(t)
					done++
				}
				if cases := v.check(t); len(cases) != want || want < 6 {
					t.Errorf("the finished sweep has %d rows, want %d: %s", len(cases), want, strings.Join(cases, "\n"))
				}
			}
			t.Logf("%d kills or more in %d sweeps", kills, sweeps)
		})
	}
}

// A second sweep that wants the same file ends with one line, and disturbs nothing.
func TestSecondSweepIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	var status int
	var stderr string
	f := &fakeRunner{during: func(n int, _ *results.Row) {
		if n == 3 {
			status, _, stderr = (&fakeRunner{}).ofpeak("run", "--suite", "smoke", "--out", path, "--resume")
		}
	}}
	if status, _, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path); status != 0 {
		t.Error(stderr)
	}
	if want := "ofpeak: " + path + ": another ofpeak is writing it; wait for its end, or choose another file with --out\n"; status != 1 || stderr != want {
		t.Errorf("status %d, %s", status, stderr)
	}
	if cases := casesIn(t, path); len(cases) != 22 {
		t.Errorf("%d rows", len(cases))
	}
}
