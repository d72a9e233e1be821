package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"ofpeak/results"
)

// casesIn are the cases of a CSV's rows, in order.
func casesIn(t *testing.T, path string) []string {
	t.Helper()
	file, err := results.Read(path)
	if err != nil || len(file.Warnings) > 0 {
		t.Fatal(err, file)
	}
	var cases []string
	for _, row := range file.Rows {
		cases = append(cases, row.Case)
	}
	return cases
}

// An interrupted sweep that goes on measures each case once, and compares with the rows from before.
func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "night.csv")
	args := []string{"run", "--suite", "smoke", "--out", path, "--resume"}
	whole := &fakeRunner{}
	whole.ofpeak("run", "--suite", "smoke", "--out", path+"-at-once")
	interrupted := &fakeRunner{during: func(n int, row *results.Row) {
		if n == 6 {
			panic("the power is cut")
		}
	}}
	func() {
		defer func() { recover() }()
		interrupted.ofpeak(args...)
	}()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("2,technique=dat"); err != nil {
		t.Fatal(err)
	}
	f.Close()

	rest := &fakeRunner{}
	status, stdout, stderr := rest.ofpeak(args...)
	if status != 0 || !strings.Contains(stderr, "night.csv:8: has no line end (an interrupted write?); its 15 bytes are dropped") {
		t.Errorf("status %d, %s", status, stderr)
	}
	if len(rest.ran) != len(whole.ran)-5 || slices.Contains(rest.ran, whole.ran[4]) || rest.ran[0] != whole.ran[5] {
		t.Errorf("of %d cases, 5 of them finished, %d ran: %v", len(whole.ran), len(rest.ran), rest.ran)
	}
	if got := casesIn(t, path); !slices.Equal(got, casesIn(t, path+"-at-once")) {
		t.Errorf("rows of %q", got)
	}
	if n := strings.Count(stdout, "\ndata-parallel "); n != 2 {
		t.Errorf("the table has %d data-parallel rows:\n%s", n, stdout)
	}
	file, err := results.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	last := file.Rows[len(file.Rows)-1]
	if !last.SpeedupVsBaseline.Known() || !last.ScalingEfficiency.Known() {
		t.Errorf("%s is not compared with its baseline from before", last.Case)
	}

	nothing := &fakeRunner{}
	if status, _, stderr := nothing.ofpeak(args...); status != 0 || len(nothing.ran) > 0 {
		t.Errorf("finished: status %d, %d cases run, %s", status, len(nothing.ran), stderr)
	}
}

// --retry measures again what had such a status, of the cases asked for only.
func TestRetry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	bad := &fakeRunner{during: func(n int, row *results.Row) {
		if n == 2 || n == 5 {
			row.Settle(results.Failed, "the device is gone")
		}
	}}
	if status, _, _ := bad.ofpeak("run", "--suite", "smoke", "--out", path); status != 1 {
		t.Errorf("status %d", status)
	}
	f := &fakeRunner{}
	if status, _, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path, "--resume"); status != 1 || len(f.ran) > 0 || !strings.Contains(stderr, "2 of 22 rows failed or are wrong") {
		t.Errorf("without --retry: status %d, %d cases run, %s", status, len(f.ran), stderr)
	}
	args := []string{"run", "--case", bad.ran[1].String(), "--out", path, "--resume", "--retry", "failed,suspect"}
	if status, _, _ := f.ofpeak(args...); status != 1 || len(f.ran) != 1 || f.ran[0] != bad.ran[1] {
		t.Errorf("one case: status %d, ran %v", status, f.ran)
	}
	f = &fakeRunner{}
	if status, _, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path, "--resume", "--retry", "failed"); status != 0 || len(f.ran) != 1 || f.ran[0] != bad.ran[4] {
		t.Errorf("all: status %d, ran %v, %s", status, f.ran, stderr)
	}
	cases := casesIn(t, path)
	if slices.Sort(cases); len(cases) != 22 || len(slices.Compact(cases)) != 22 {
		t.Errorf("%d rows: %q", len(cases), cases)
	}
}

func TestResumeRefusesAnotherMachine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	f := &fakeRunner{}
	if status, _, stderr := f.ofpeak("run", "--case", "model=tiny", "--out", path); status != 0 {
		t.Fatal(stderr)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), "Fake CPU 2000 (R)", "Fake CPU 3000", 1)
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	want := path + `: its rows are of another machine: their device is "Fake CPU 3000", here it is "Fake CPU 2000 (R)"; go on there, or start another file with --out`
	if status, _, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path, "--resume"); status != 1 || !strings.Contains(stderr, want) || len(f.ran) != 1 {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// The suite decides about processes and time limits, unless the user does.
func TestIsolationBySuite(t *testing.T) {
	for _, test := range []struct {
		args    []string
		isolate bool
		timeout string
	}{
		{nil, false, "0s"},
		{[]string{"--suite", "smoke"}, false, "0s"},
		{[]string{"--suite", "full"}, true, "2h0m0s"},
		{[]string{"--suite", "full", "--isolate=false"}, false, "0s"},
		{[]string{"--suite", "full", "--timeout", "0"}, true, "0s"},
		{[]string{"--timeout", "5s"}, true, "5s"},
		{[]string{"--isolate"}, true, "0s"},
	} {
		f, cmd := &runFlags{}, &cobra.Command{}
		f.register(cmd)
		if err := cmd.ParseFlags(test.args); err != nil {
			t.Fatal(err)
		}
		if err := f.sweepFlags.check(f.suite, f.out); err != nil || f.isolate != test.isolate || f.timeout.String() != test.timeout {
			t.Errorf("%q: isolate %v, timeout %v, %v", test.args, f.isolate, f.timeout, err)
		}
	}
}
