// Package mpitest starts programs and tests of this module under each MPI that the machine has.
package mpitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// MPI is an installed implementation.
type MPI struct {
	Name     string // openmpi or mpich
	Launcher string // path of its mpirun
	Options  []string
}

// Careless is Open MPI with a launcher that lets the other processes go on when one has died. MPICH's ends them even if it is told not to.
func (m MPI) Careless() MPI {
	m.Options = []string{"--enable-recovery"}
	return m
}

// Find lists the implementations whose launcher and compiler are here.
func Find() []MPI {
	var found []MPI
	for _, name := range []string{"openmpi", "mpich"} {
		if run, err := exec.LookPath("mpirun." + name); err == nil && have("mpicc."+name) {
			found = append(found, MPI{Name: name, Launcher: run})
		}
	}
	if run, err := exec.LookPath("mpirun"); err == nil && len(found) == 0 && have("mpicc") {
		name := "mpich"
		if version, err := exec.Command(run, "--version").Output(); err == nil && bytes.Contains(version, []byte("Open")) {
			name = "openmpi"
		}
		found = append(found, MPI{Name: name, Launcher: run})
	}
	return found
}

func have(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// Each builds a package, or its tests, and runs f with the binary for each implementation. Without any the test is skipped, or fails where
// OFPEAK_REQUIRE is set.
func Each(t *testing.T, pkg string, tests bool, f func(t *testing.T, m MPI, binary string)) {
	t.Helper()
	if raced {
		const why = "the processes have no race detector; run this test without it"
		if os.Getenv("OFPEAK_REQUIRE") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	found := Find()
	if len(found) == 0 || !have("gcc") && !have("cc") {
		const why = "no MPI with its compiler here; apt install openmpi-bin libopenmpi-dev mpich libmpich-dev gcc"
		if os.Getenv("OFPEAK_REQUIRE") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	binary := shared.binary(t, pkg, tests)
	for _, m := range found {
		t.Run(m.Name, func(t *testing.T) { f(t, m, binary) })
	}
}

// shared holds what Each has built, by package and kind, if the package's tests run under Main.
var shared builds

type builds struct {
	dir  string // "": every test builds its own
	mu   sync.Mutex
	made map[string]string // the folder
}

// Main runs a package's tests, which then share what Each builds.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ofpeak-mpi-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir, shared.made = dir, map[string]string{}
	return m.Run()
}

// binary has a path of its own in each test, so that a test can tell its processes from others'.
func (b *builds) binary(t *testing.T, pkg string, tests bool) string {
	t.Helper()
	own := t.TempDir()
	if b.dir == "" {
		build(t, own, pkg, tests)
		return filepath.Join(own, program)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := fmt.Sprint(pkg, tests)
	if b.made[key] == "" {
		dir := filepath.Join(b.dir, fmt.Sprint(len(b.made)))
		build(t, dir, pkg, tests)
		b.made[key] = dir
	}
	files, err := filepath.Glob(filepath.Join(b.made[key], "*"))
	for _, file := range files {
		err = errors.Join(err, os.Link(file, filepath.Join(own, filepath.Base(file))))
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(own, program)
}

// program is the file that build makes.
const program = "ofpeak-mpi"

// build compiles a package with the tag mpi, or its tests, into a folder, with the shims beside it.
func build(t *testing.T, dir, pkg string, tests bool) {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-tags", "mpi", "-o", filepath.Join(dir, program), pkg}
	if tests {
		args = append([]string{"test", "-c"}, args[1:]...)
	}
	compile := exec.Command("go", args...)
	compile.Env = append(os.Environ(), "CGO_ENABLED=1")
	for _, cmd := range []*exec.Cmd{exec.Command(filepath.Join(strings.TrimSpace(string(root)), "scripts", "mpi-shims.sh"), dir), compile} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
}

// Args is the launcher's command line for so many processes, whatever the cores.
func (m MPI) Args(processes int) []string {
	line := []string{m.Launcher, "-np", strconv.Itoa(processes)}
	if m.Name == "openmpi" {
		line = append(line, "--oversubscribe")
	}
	return append(line, m.Options...)
}

// Env lets Open MPI run as root, as tests in containers do, and keeps UCX, which MPICH uses, from warnings about what an abort leaves.
func Env() []string {
	return append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "UCX_LOG_LEVEL=error")
}

// Run starts a binary under the launcher and returns what it printed. It fails after a while instead of hanging.
func (m MPI) Run(limit time.Duration, processes int, binary string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(context.Background(), limit)
	defer stop()
	line := append(append(m.Args(processes), binary), args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the launcher ends its processes
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = Env()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end after %v", limit)
	}
	return string(out), err
}
