package results

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount gives a file system of the memory with these options, or skips.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		skip := t.Skipf
		if os.Getenv("OFPEAK_REQUIRE") != "" && os.Getuid() == 0 {
			skip = t.Fatalf
		}
		skip("a small file system cannot be mounted (needs root): %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// A full disk is one clear error. The rows before it stay whole, and more can be added once there is space.
func TestDiskFull(t *testing.T) {
	dir := mount(t, "size=16k")
	path := filepath.Join(dir, "a.csv")
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	row, kept := okRow(), 0
	for err == nil && kept < 1000 {
		if err = w.Append(&row); err == nil {
			kept++
		}
	}
	if err == nil || err.Error() != path+": cannot be written: no space left on device; free space or choose another place with --out" {
		t.Errorf("after %d rows: %v", kept, err)
	}
	f, err := Read(path)
	if err != nil || kept == 0 || len(f.Rows) != kept || len(f.Warnings) > 0 {
		t.Errorf("of %d rows: %+v, %v", kept, f, err)
	}
	if _, err := Create(filepath.Join(dir, "b.csv")); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a second file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "b.csv")); err == nil {
		t.Error("a file without header was left")
	}
	w.Close()
	once := true
	if _, _, err := Resume(path, func(*Row) bool { was := once; once = false; return was }); err == nil || !strings.Contains(err.Error(), "cannot be repaired: no space left") {
		t.Errorf("taking a row out needs a second file: %v", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64k"); err != nil {
		t.Fatal(err)
	}
	w, found, err := Resume(path, nil)
	if err != nil || len(found.Rows) != kept {
		t.Fatalf("with more space: %+v, %v", found, err)
	}
	defer w.Close()
	if err := w.Append(&row); err != nil {
		t.Error(err)
	}
}

func TestReadOnly(t *testing.T) {
	dir := mount(t, "size=64k")
	path := filepath.Join(dir, "a.csv")
	writeText(t, path, sample(t)+"torn")
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Resume(path, nil); err == nil || err.Error() != path+": cannot be added to: read-only file system; choose a writable place with --out" {
		t.Errorf("Resume: %v", err)
	}
	other := filepath.Join(dir, "b.csv")
	if _, err := Create(other); err == nil || err.Error() != other+": cannot be created: read-only file system; choose a writable place with --out" {
		t.Errorf("Create: %v", err)
	}
	if f, err := Read(path); err != nil || len(f.Rows) != 1 || len(f.Warnings) != 1 {
		t.Errorf("what was there: %+v, %v", f, err)
	}
}
