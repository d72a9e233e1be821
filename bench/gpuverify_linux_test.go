package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// gpuHost is a folder like an unpacked bundle, with the script for GPU hosts and commands that only pretend.
func gpuHost(t *testing.T, commands map[string]string) string {
	t.Helper()
	root := t.TempDir()
	script, err := os.ReadFile("../scripts/gpu-verify.sh")
	if err != nil {
		t.Fatal(err)
	}
	commands["scripts/gpu-verify.sh"] = string(script)
	for name, text := range commands {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// gpuVerify runs the script, and returns its exit status and what it said.
func gpuVerify(t *testing.T, root string, env ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("bash", filepath.Join(root, "scripts", "gpu-verify.sh"), "found")
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// The script for GPU hosts goes on after a failure, says what failed, and packs what there is.
func TestGPUVerifyGoesOn(t *testing.T) {
	root := gpuHost(t, map[string]string{
		"bin/ofpeak-cuda":   "#!/bin/sh\ncase $1 in verify) echo 'ofpeak: 3 cases differ' >&2; exit 1;; run) echo rows;; esac\n",
		"bin/cudriver.test": "#!/bin/sh\necho PASS\n",
		"path/python3":      "#!/bin/sh\nexit 1\n", // without PyTorch
	})
	status, text := gpuVerify(t, root, "PATH="+root+"/path:"+os.Getenv("PATH"))
	if status != 1 {
		t.Fatalf("a failure ends with %d\n%s", status, text)
	}
	for _, want := range []string{
		"FAILED  verify (status 1", "ofpeak: 3 cases differ", "ok      run (", "ok      peak (", "ok      driver (", "absent  golden-outputs", "absent  PyTorch", "\nfailed: verify\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	packed, err := exec.Command("tar", "tzf", filepath.Join(root, "found.tar.gz")).CombinedOutput()
	for _, want := range []string{"found/summary.txt", "found/verify.err", "found/run.txt"} {
		if err != nil || !strings.Contains(string(packed), want) {
			t.Errorf("%s is not in the tarball: %v\n%s", want, err, packed)
		}
	}
}

// It uses all that it finds on the host: NVIDIA's tools, PyTorch, and the interpreter's outputs in the bundle.
func TestGPUVerifyUsesWhatIsThere(t *testing.T) {
	root := gpuHost(t, map[string]string{
		"bin/ofpeak-cuda":        "#!/bin/sh\necho \"$@\"\n",
		"bin/sim.golden":         "",
		"path/nvidia-smi":        "#!/bin/sh\n",
		"path/compute-sanitizer": "#!/bin/sh\nshift 2\n\"$@\"\n",
		"path/python3":           "#!/bin/sh\necho \"$@\"\n",
	})
	status, text := gpuVerify(t, root, "PATH="+root+"/path:"+os.Getenv("PATH"))
	if status != 0 || strings.Count(text, "absent") != 1 || !strings.Contains(text, "absent  driver-test") {
		t.Errorf("status %d\n%s", status, text)
	}
	for name, want := range map[string]string{
		"verify": "--record found/gpu.golden --against " + root + "/bin/sim.golden", "peak": "peak --device cuda --format csv", "run": "--suite full --seconds 1 --out found/run.csv",
		"sanitizer": "--suite smoke --gpus 1", "pytorch": root + "/scripts/peers/gpu.py found/run.csv --peak found/peak.txt --out found/pytorch.csv",
	} {
		if got, err := os.ReadFile(filepath.Join(root, "found", name+".txt")); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s ran with %q, %v; want %q", name, got, err, want)
		}
	}
}

// What does not end is stopped, and what comes after the time is up is not begun.
func TestGPUVerifyKeepsToItsTime(t *testing.T) {
	root := gpuHost(t, map[string]string{"bin/ofpeak-cuda": "#!/bin/sh\ncase $1 in verify) exec sleep 60;; esac\n", "path/python3": "#!/bin/sh\nexit 1\n"})
	status, text := gpuVerify(t, root, "PATH="+root+"/path:"+os.Getenv("PATH"), "OFPEAK_VERIFY_SECONDS=3")
	if status != 1 || !strings.Contains(text, "FAILED  verify (status 124, ") || !strings.Contains(text, "FAILED  run: no time is left") || !strings.Contains(text, "results: found.tar.gz") {
		t.Errorf("status %d\n%s", status, text)
	}
}
