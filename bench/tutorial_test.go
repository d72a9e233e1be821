package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ofpeak/docs"
)

// lesson is a command of the tutorial with the output that the page shows.
type lesson struct {
	command string
	shown   []string
}

// lessons are those of a page's code blocks.
func lessons(page string) []lesson {
	var all []lesson
	blocks := strings.Split(page, "\n```\n")
	for i := 1; i < len(blocks); i += 2 {
		for line := range strings.Lines(blocks[i]) {
			line = strings.TrimSuffix(line, "\n")
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				all = append(all, lesson{command: command})
			} else {
				last := &all[len(all)-1]
				last.shown = append(last.shown, line)
			}
		}
	}
	return all
}

// word is what a line of output must have in common with the page: words, but no numbers and units, which are the machine's.
var word = regexp.MustCompile(`[a-z][a-z_/-]{2,}`)

// Every command of the tutorial runs as the page has it, one after the other, and prints the words that the page shows.
func TestTutorial(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("OFPEAK_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("the commands are bash's: ", err)
	}
	page, err := docs.Files.ReadFile("tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	commands := lessons(string(page))
	if len(commands) < 12 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for _, l := range commands {
		command := l.command
		if command == "make build" { // there as here, but this test binary is the command
			if err := os.Symlink(this, filepath.Join(dir, "bin", "ofpeak")); err != nil {
				t.Fatal(err)
			}
			command = "make -C " + source(t) + " -n build"
		}
		cmd := exec.Command(bash, "-c", command)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), actAs+"=real")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("$ %s\n%v\n%s", l.command, err, out)
		}
		for _, line := range l.shown {
			for part := range strings.SplitSeq(line, "...") {
				for _, w := range word.FindAllString(part, -1) {
					if !slices.Contains(word.FindAllString(string(out), -1), w) {
						t.Errorf("$ %s\nprints no %q, as in %q:\n%s", l.command, w, line, out)
					}
				}
			}
		}
	}
}

// source is the folder with the Makefile.
func source(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
