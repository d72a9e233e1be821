package main

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// offered asks the command what the shell would offer for the last argument.
func offered(t *testing.T, args ...string) (values []string, directive string) {
	t.Helper()
	status, stdout, stderr := (&fakeRunner{}).ofpeak(append([]string{"__complete"}, args...)...)
	if status != 0 {
		t.Fatalf("%q: status %d, %s", args, status, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	const noFiles, csvFiles = ":4", ":8"
	for _, test := range []struct {
		line, first string
		n           int
		directive   string
	}{
		{"run --suite ", "smoke", 5, noFiles},
		{"run --technique ", "baseline", 6, noFiles},
		{"run --technique sparse,", "sparse,baseline", 5, noFiles},
		{"run --technique sparse,mixed-precision,d", "sparse,mixed-precision,data-parallel", 2, noFiles},
		{"run --model ", "tiny", 6, noFiles},
		{"run --model gpt2,s", "gpt2,small", 1, noFiles},
		{"run --precision b", "bf16", 1, noFiles},
		{"run --layout 2", "2:4", 1, noFiles},
		{"run --isa g", "go", 1, noFiles},
		{"run --retry failed,w", "failed,wrong", 1, noFiles},
		{"run --device c", "cpu", 2, noFiles},
		{"chips --format m", "md", 1, noFiles},
		{"verify --format ", "text", 3, noFiles},
		{"compare --format j", "json", 1, noFiles},
		{"compare --row technique,mod", "technique,model", 1, noFiles},
		{"export --format ", "benchfmt", 4, noFiles},
		{"explain --row ", "", 0, ":0"},
		{"trace ", "json", 1, csvFiles},
		{"run x", "", 0, noFiles},
		{"compare ", "csv", 1, csvFiles},
		{"explain ", "csv", 1, csvFiles},
	} {
		values, directive := offered(t, strings.Split(test.line, " ")...)
		values = slices.DeleteFunc(values, func(v string) bool { return !strings.HasPrefix(v, test.line[strings.LastIndexByte(test.line, ' ')+1:]) })
		if len(values) != test.n || test.n > 0 && values[0] != test.first || directive != test.directive {
			t.Errorf("%s: offered %q, %s", test.line, values, directive)
		}
	}
}

// Every flag of ofpeak run that takes a name offers names.
func TestFlagsThatTakeNamesOfferThem(t *testing.T) {
	free := []string{"case", "out", "data", "trace", "gpus", "seed", "seconds", "target", "limit", "timeout", "stall-timeout", "ranks", "cp", "chunks", "microbatches", "bucket-bytes", "threads", "launcher"}
	newRunCmd(nil, nil, nil).Flags().VisitAll(func(f *pflag.Flag) {
		if _, known := flagValues()[f.Name]; !known && !slices.Contains(free, f.Name) && !strings.HasPrefix(f.Value.Type(), "bool") {
			t.Errorf("--%s offers nothing; give it values, or name it free", f.Name)
		}
	})
}

// The scripts for the shells are made, and understood by those that are here.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, stderr := (&fakeRunner{}).ofpeak("completion", shell)
		if status != 0 || !strings.Contains(script, "__complete") {
			t.Errorf("%s: status %d, %s", shell, status, stderr)
		}
		path, err := exec.LookPath(shell)
		if err != nil && (shell != "bash" || os.Getenv("OFPEAK_REQUIRE") == "") {
			t.Logf("%s is not here to check its script", shell)
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = bytes.NewReader([]byte(script))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}
