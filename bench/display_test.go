//go:build linux

package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ofpeak/docs"
	"ofpeak/results"
)

func TestQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	status, stdout, stderr := (&fakeRunner{}).ofpeak("run", "--suite", "smoke", "--out", path, "--quiet")
	if status != 0 || stdout != path+"\n" || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}

// Standard output is nothing but events: start, of each case begin and end, done.
func TestEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	f := &fakeRunner{during: func(n int, row *results.Row) {
		if n == 3 {
			row.Settle(results.Failed, "the device is gone")
		}
	}}
	before := time.Now().UTC()
	status, stdout, stderr := f.ofpeak("run", "--suite", "smoke", "--technique", "mixed-precision", "--out", path, "--json")
	if status != 1 || stderr != "ofpeak: 1 of 6 rows failed or are wrong; the column reason says why\n" {
		t.Errorf("status %d, %s", status, stderr)
	}
	var events []event
	for line := range strings.Lines(stdout) {
		var e event
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Time.Before(before) || e.Time.After(time.Now()) {
			t.Errorf("%q: its time is not now", line)
		}
		events = append(events, e)
	}
	n := len(events)
	if n != 14 || *events[0].Cases != 6 || *events[0].Already != 0 || events[0].CSV != path {
		t.Fatalf("%d events, first %+v", n, events[0])
	}
	for i := 1; i < n-1; i += 2 {
		begin, end := events[i], events[i+1]
		if begin.Event != "begin" || end.Event != "end" || begin.Case != end.Case || begin.Number != (i+1)/2 || end.Number != begin.Number || end.Status == "" {
			t.Errorf("events %+v, %+v", begin, end)
		}
		if (end.Status == results.OK) != (end.StepMedianS != nil) && end.Status != results.Failed || end.Status != results.OK && end.Reason == "" {
			t.Errorf("event %+v", end)
		}
	}
	if done := events[n-1]; done.Event != "done" || done.CSV != path || done.Rows[results.OK] != 4 || done.Rows[results.Failed] != 1 || done.Rows[results.Skipped] != 1 || done.Error != "" {
		t.Errorf("last %+v", done)
	}
}

// docs/running.md has every event and field.
func TestDocsListEvents(t *testing.T) {
	page, err := docs.Files.ReadFile("running.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"start", "begin", "stage", "end", "done"}
	for field := range reflect.TypeFor[event]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/running.md lacks %s", name)
		}
	}
}

func TestEventsOfStagesAndErrors(t *testing.T) {
	var out strings.Builder
	e := newEvents(&out)
	e.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	e.Start(nil, make([]results.Row, 2), "a.csv")
	e.Stage("verifying")
	if err := e.Finish(nil, "a.csv", os.ErrDeadlineExceeded); err != nil {
		t.Error(err)
	}
	want := `{"event":"start","time":"2026-01-02T03:04:05Z","csv":"a.csv","cases":0,"already":2}
{"event":"stage","time":"2026-01-02T03:04:05Z","stage":"verifying"}
{"event":"done","time":"2026-01-02T03:04:05Z","csv":"a.csv","error":"i/o timeout"}
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	r, w := io.Pipe()
	r.Close()
	e = newEvents(w)
	e.Start(nil, nil, "a.csv")
	if err := e.Finish(nil, "a.csv", nil); err == nil {
		t.Error("lines that nobody reads are no error")
	}
}

// A table keeps to the width, whatever it must leave out, and says what that was.
func TestTableFitsTheTerminal(t *testing.T) {
	rows := fakeRows(t)
	for _, width := range []uint16{200, 120, 100, 80} {
		tty, screen := terminal(t, width)
		if err := writeTable(tty, rows); err != nil {
			t.Fatal(err)
		}
		tty.Close()
		shown, _ := io.ReadAll(screen)
		screen.Close()
		table, notes, _ := strings.Cut(strings.ReplaceAll(string(shown), "\r\n", "\n"), "\n\n")
		table = escape.ReplaceAllString(table, "")
		for line := range strings.Lines(table) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > int(width) {
				t.Errorf("%d columns: a line of %d: %q", width, n, line)
			}
		}
		for _, column := range []string{"technique", "what", "step", "measured%", "status"} {
			if !strings.Contains(table, column) {
				t.Errorf("%d columns: no column %s:\n%s", width, column, table)
			}
		}
		if left := strings.Contains(notes, "left out for want of width"); left != (width <= 100) {
			t.Errorf("%d columns: notes\n%s", width, notes)
		}
	}
}

// Colours are for terminals that want them.
func TestColours(t *testing.T) {
	for _, test := range []struct {
		noColor, term string
		coloured      bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		tty, screen := terminal(t, 200)
		if err := writeTable(tty, fakeRows(t)); err != nil {
			t.Fatal(err)
		}
		tty.Close()
		shown, _ := io.ReadAll(screen)
		screen.Close()
		if got := strings.Contains(string(shown), "\x1b[32mok\x1b[0m"); got != test.coloured {
			t.Errorf("NO_COLOR=%q TERM=%s: colours %v", test.noColor, test.term, got)
		}
	}
	var out strings.Builder
	if err := writeTable(&out, fakeRows(t)); err != nil || strings.Contains(out.String(), "\x1b") {
		t.Errorf("colours in a file, %v", err)
	}
}

// fakeRows are those of the smoke suite on the fake device.
func fakeRows(t *testing.T) []results.Row {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.csv")
	(&fakeRunner{}).ofpeak("run", "--suite", "smoke", "--out", path)
	file, err := results.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return file.Rows
}
