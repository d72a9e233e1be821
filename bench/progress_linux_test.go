package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// terminal is a pseudo-terminal of a width: what is written to the first file can be read from the second.
func terminal(t *testing.T, columns uint16) (tty, screen *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil && os.Getenv("OFPEAK_REQUIRE") == "" {
		t.Skip("no pseudo-terminals here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	screen = os.NewFile(uintptr(fd), "ptmx")
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: 24})
	}
	if err != nil {
		t.Fatal(err)
	}
	return tty, screen
}

// escape is what moves the cursor or colours.
var escape = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")

// On a terminal a bar names the running case and never fills more than its line, so that clearing it leaves nothing behind.
func TestProgressOnTerminal(t *testing.T) {
	const columns = 90
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	tty, screen := terminal(t, columns)
	defer screen.Close()
	p := newProgress(io.Discard, tty)
	var plan []workload.Planned
	for _, line := range []string{"model=tiny", "model=tiny dp=2 pp=2 schedule=1f1b microbatches=4 bucket_bytes=1000000"} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		plan = append(plan, workload.Planned{Case: c})
	}
	p.Start(plan, nil, "x.csv")
	for _, planned := range plan {
		c := planned.Case
		p.Begin(c)
		p.Stage("verifying")
		p.End(&results.Row{Case: c.String(), Status: results.OK, StepMedianS: results.Some(0.5)})
	}
	if err := p.Finish(nil, "x.csv", nil); err != nil {
		t.Error(err)
	}
	tty.Close()
	shown, _ := io.ReadAll(screen) // ends with EIO, as the other side is closed

	text := strings.ReplaceAll(string(shown), "\r\n", "\n")
	if coloured := "\x1b[32mok     \x1b[0m technique=baseline"; !strings.Contains(text, coloured) {
		t.Errorf("the status has no colour:\n%q", text)
	}
	text = escape.ReplaceAllString(text, "")
	for _, want := range []string{"[1/2] baseline fp32 tiny", ": verifying", "[1/2] ok      technique=baseline precision=fp32 model=tiny  500 ms\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the screen:\n%q", want, text)
		}
	}
	for _, draw := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.Contains(draw, "|") && len([]rune(draw)) > columns {
			t.Errorf("the bar is %d wide on %d columns: %q", len([]rune(draw)), columns, draw)
		}
	}
}
