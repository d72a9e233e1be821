package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"ofpeak/bench/perfetto"
)

// Each case's process adds its step to the one trace.
func TestTraceOfIsolatedCases(t *testing.T) {
	t.Parallel()
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, trace := filepath.Join(dir, "x.csv"), filepath.Join(dir, "t.json")
	cases := []string{"technique=baseline precision=fp32 model=tiny", "technique=model-parallel precision=fp32 model=tiny pp=2 schedule=1f1b microbatches=2"}
	args := []string{"run", "--device", "cpu", "--isolate", "--seconds", "0.01", "--limit", "0.1", "--out", out, "--trace", trace}
	for _, c := range cases {
		args = append(args, "--case", c)
	}
	cmd := exec.Command(this, args...)
	cmd.Env = append(os.Environ(), actAs+"=real")
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	file, err := perfetto.Read(trace)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Check(); err != nil {
		t.Error(err)
	}
	var traced []string
	for _, c := range file.Cases {
		traced = append(traced, c.Case)
	}
	if !slices.Equal(traced, cases) {
		t.Errorf("traced are %q, not %q", traced, cases)
	}
}
