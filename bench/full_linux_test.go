package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ofpeak/results"
)

// smallDisk is a file system of the memory with this size, or a skip.
func smallDisk(t *testing.T, size string) (dir string, remount func(flags uintptr, options string)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
		if os.Getenv("OFPEAK_REQUIRE") != "" && os.Getuid() == 0 {
			t.Fatal(err)
		}
		t.Skip("a small file system cannot be mounted (needs root): ", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, func(flags uintptr, options string) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, options); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that fills up ends the run with a clear error. What was measured is kept, the row that did not fit elsewhere, and the run can go on.
func TestRunOnAFullDisk(t *testing.T) {
	dir, remount := smallDisk(t, "size=8k")
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(dir, "x.csv")
	f := &fakeRunner{}
	status, stdout, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path)
	m := regexp.MustCompile(`ofpeak: ` + regexp.QuoteMeta(path) + `: cannot be written: no space left on device; free space or choose another place with --out; ` +
		`the row that did not fit is in (\S+)\n$`).FindStringSubmatch(stderr)
	if status != 1 || m == nil {
		t.Fatalf("status %d, %s", status, stderr)
	}
	kept := casesIn(t, path)
	if len(kept) < 2 || len(kept) >= 22 || strings.Count(stdout, " fp32 ") == 0 {
		t.Errorf("%d rows kept, table\n%s", len(kept), stdout)
	}
	if rescued := casesIn(t, m[1]); len(rescued) != 1 || rescued[0] != f.ran[len(f.ran)-1].String() {
		t.Errorf("rescued: %q", rescued)
	}
	remount(0, "size=1m")
	if status, _, stderr := (&fakeRunner{}).ofpeak("run", "--suite", "smoke", "--out", path, "--resume"); status != 0 || len(casesIn(t, path)) != 22 {
		t.Errorf("with space again: status %d, %s", status, stderr)
	}
}

func TestRunWhereNothingCanBeWritten(t *testing.T) {
	dir, remount := smallDisk(t, "size=64k")
	path := filepath.Join(dir, "x.csv")
	if status, _, stderr := (&fakeRunner{}).ofpeak("run", "--case", "model=tiny", "--out", path); status != 0 {
		t.Fatal(stderr)
	}
	remount(unix.MS_RDONLY, "")
	t.Chdir(dir)
	for _, args := range [][]string{{"run"}, {"run", "--out", "y.csv"}, {"run", "--out", path, "--resume"}} {
		f := &fakeRunner{}
		status, stdout, stderr := f.ofpeak(args...)
		if status != 1 || stdout != "" || !strings.Contains(stderr, "read-only file system; choose a writable place with --out") || len(f.ran) > 0 {
			t.Errorf("%q: status %d, %d cases ran, %s", args, status, len(f.ran), stderr)
		}
	}
	if file, err := results.Read(path); err != nil || len(file.Rows) != 1 {
		t.Errorf("what was there: %+v, %v", file, err)
	}
}
