package export

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ofpeak/results"
)

// benchstat is the path of the program that go.mod names. Without the go command the test is skipped, or fails where the environment has OFPEAK_REQUIRE.
func benchstat(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil && os.Getenv("OFPEAK_REQUIRE") == "" {
		t.Skip("no go command to build benchstat with")
	}
	path, err := exec.Command("go", "tool", "-n", "benchstat").Output()
	if err != nil {
		t.Fatalf("go tool -n benchstat: %v", err)
	}
	return strings.TrimSpace(string(path))
}

// slower writes an export of two cases whose ten steps vary by 0.9 %, all so many times as long as half a second.
func slower(t *testing.T, dir, name string, times float64) {
	t.Helper()
	var rows []results.Row
	for _, words := range []string{"technique=sparse precision=fp32 model=tiny layout=2:4", "technique=data-parallel precision=bf16 model=tiny dp=2"} {
		r := newRow(words)
		r.StepSamplesS = nil
		for i := range 10 {
			r.StepSamplesS = append(r.StepSamplesS, times*(0.5+0.0005*float64(i)))
		}
		r.SampleCount, r.StepMedianS, r.TokensPerS = results.Some(10), results.Some(times*0.5), results.Some(200/times)
		r.ShareMeasuredPct, r.PeakBytesPerRank = results.Some(50/times), results.Some[int64](3<<20)
		rows = append(rows, r)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(write(t, BenchFmt, newFile(rows...))), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestThroughBenchstat runs the program itself on two exports, of which the second is a quarter slower: it tells each unit, each case by its name, and by how much,
// warns of nothing, and finds the case's fields.
func TestThroughBenchstat(t *testing.T) {
	tool, dir := benchstat(t), t.TempDir()
	slower(t, dir, "old.txt", 1)
	slower(t, dir, "new.txt", 1.25)
	for _, test := range []struct {
		args string
		want []string // lines, with one space between words
	}{
		{"", []string{
			"host: h", "os-arch: linux/amd64", "device: cpu", `device-name: a "CPU" \ of 3 GHz`,
			"│ sec/op │ sec/op vs base │",
			"Step/technique=sparse/precision=fp32/model=tiny/layout=2:4 502.2m ± 0% 627.8m ± 0% +25.00% (p=0.000 n=10)",
			"Step/technique=data-parallel/precision=bf16/model=tiny/dp=2 502.2m ± 0% 627.8m ± 0% +25.00% (p=0.000 n=10)",
			"geomean 502.2m 627.8m +25.00%",
			"│ tokens/s │ tokens/s vs base │",
			"Step/technique=sparse/precision=fp32/model=tiny/layout=2:4 199.1 ± 0% 159.3 ± 0% -20.00% (p=0.000 n=10)",
			"│ %peak │ %peak vs base │",
			"Step/technique=sparse/precision=fp32/model=tiny/layout=2:4 49.78 ± 0% 39.82 ± 0% -20.00% (p=0.000 n=10)",
			"│ B/rank │ B/rank vs base │",
			"Step/technique=sparse/precision=fp32/model=tiny/layout=2:4 3.000Mi ± 0% 3.000Mi ± 0% ~ (p=1.000 n=10) ¹",
		}},
		{"-filter /technique:sparse -row /precision", []string{"│ sec/op │ sec/op vs base │", "fp32 502.2m ± 0% 627.8m ± 0% +25.00% (p=0.000 n=10)"}},
	} {
		cmd := exec.Command(tool, append(strings.Fields(test.args), "old.txt", "new.txt")...)
		cmd.Dir = dir
		var warnings strings.Builder
		cmd.Stderr = &warnings
		out, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("benchstat %s: %v\n%s", test.args, err, warnings.String())
		}
		for _, line := range test.want {
			if got := spaced(string(out)); !strings.Contains(got, "\n"+line+"\n") {
				t.Errorf("benchstat %s lacks %q in\n%s", test.args, line, got)
			}
		}
		if strings.Contains(string(out), "data-parallel") == strings.Contains(test.args, "sparse") {
			t.Errorf("benchstat %s tells of other cases:\n%s", test.args, out)
		}
	}
}

// spaced is the text with one space between words, and a line feed at both ends.
func spaced(text string) string {
	lines := []string{""}
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(append(lines, ""), "\n")
}
