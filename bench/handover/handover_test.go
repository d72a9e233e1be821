package handover

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script stands for a CUDA build.
func script(t *testing.T, text string) string {
	t.Helper()
	path := Beside(filepath.Join(t.TempDir(), "ofpeak"))
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProbe(t *testing.T) {
	got, err := Probe(t.Context(), script(t, `[ "$*" = probe ] && echo "2 x NVIDIA H100"`))
	if err != nil || got != "2 x NVIDIA H100" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestProbeSaysWhyNot(t *testing.T) {
	const cu = `echo 'Error in initialization, please refer to "https://example.org" for details on: '`
	for _, c := range []struct{ name, visible, text, want string }{
		{"no driver", "", `echo "ofpeak-cuda: error while loading shared libraries: libcuda.so.1: cannot open shared object file" >&2; exit 127`, "no NVIDIA driver"},
		{"no GPU", "unset", cu + "NoDevice; exit 1", "the NVIDIA driver finds no GPU"},
		{"hidden", "", cu + "NoDevice; exit 1", `CUDA_VISIBLE_DEVICES="" leaves no GPU`},
		{"hidden by number", "7", cu + "NoDevice; exit 1", `CUDA_VISIBLE_DEVICES="7" leaves no GPU`},
		{"mismatch", "0", cu + "SystemDriverMismatch; exit 1", "the NVIDIA driver does not start: SystemDriverMismatch"},
		{"its own words", "0", "echo first; echo second; exit 3", "ofpeak-cuda probe failed: first"},
		{"no words", "0", "exit 3", "ofpeak-cuda probe failed: exit status 3"},
		{"killed", "0", "kill -9 $$", "ofpeak-cuda probe failed: signal: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CUDA_VISIBLE_DEVICES", c.visible)
			if c.visible == "unset" {
				os.Unsetenv("CUDA_VISIBLE_DEVICES")
			}
			_, err := Probe(t.Context(), script(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestProbeWithoutABinary(t *testing.T) {
	_, err := Probe(t.Context(), Beside(filepath.Join(t.TempDir(), "ofpeak")))
	if err == nil || !strings.Contains(err.Error(), "make cuda") {
		t.Errorf("got %v", err)
	}
	empty := script(t, "")
	if err := os.Chmod(empty, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Probe(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a file that cannot run: got %v", err)
	}
}

func TestProbeCanBeInterrupted(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	start := time.Now()
	if _, err := Probe(ctx, script(t, "exec sleep 30")); err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestExecFails(t *testing.T) {
	err := Exec(filepath.Join(t.TempDir(), Binary), nil)
	if err == nil || !strings.Contains(err.Error(), "handing over to") {
		t.Errorf("got %v", err)
	}
}
