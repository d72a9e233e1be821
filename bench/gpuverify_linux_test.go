package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The script for GPU hosts goes on after a failure, says what failed, and packs what there is.
func TestGPUVerifyGoesOn(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"bin/ofpeak-cuda": "#!/bin/sh\ncase $1 in verify) echo 'ofpeak: 3 cases differ' >&2; exit 1;; run) echo rows;; esac\n",
		"bin/cudriver.test": `#!/bin/sh
echo PASS
`,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile("../scripts/gpu-verify.sh")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "scripts", "gpu-verify.sh")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, script, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", path, "found")
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("a failure ends with %v\n%s", err, text)
	}
	for _, want := range []string{"FAILED  verify (status 1", "ofpeak: 3 cases differ", "ok      run (", "ok      driver (", "\nfailed: verify\n"} {
		if !strings.Contains(string(text), want) {
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
