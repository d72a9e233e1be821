package workload

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDefaultCorpusIsRealText(t *testing.T) {
	c := DefaultCorpus()
	for _, want := range []string{"# Decisions", "package workload"} {
		if !bytes.Contains(c, []byte(want)) {
			t.Errorf("the corpus lacks %q", want)
		}
	}
	if len(c) < 5000 {
		t.Errorf("the corpus has only %d bytes", len(c))
	}
}

func TestWindowsAreShiftedByOneAndStayInside(t *testing.T) {
	c := Corpus("abcdefghij")
	seen := map[string]bool{}
	for step := range 50 {
		for seq := range 4 {
			ids, next := c.Window(1, step, seq, 4)
			if len(ids) != 4 || !bytes.Equal(ids[1:], next[:3]) || !bytes.Contains(c, append(ids[:1:1], next...)) {
				t.Fatalf("step %d sequence %d: %q is followed by %q", step, seq, ids, next)
			}
			seen[string(ids)] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("200 windows start at %d of the 6 places", len(seen))
	}
}

func TestReadCorpusSaysWhatIsWrong(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short, []byte("too short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"missing.txt": "--data: open missing.txt", short: "9 bytes are too few"} {
		if _, err := ReadCorpus(path, 64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
