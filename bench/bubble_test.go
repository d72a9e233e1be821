package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// Each number of stages has a line, with each schedule's formula in it.
func TestBubbles(t *testing.T) {
	var out bytes.Buffer
	if err := writeBubbles(&out, 50*time.Microsecond); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2+7 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	// Two stages, four microbatches: 1/5 idle; 1/9 in two chunks; 1/13 with the weights' gradients put off.
	cells := strings.Fields(lines[2])
	if got := strings.Join([]string{cells[0], cells[1], cells[3], cells[5], cells[7], cells[9]}, " "); got != "2 4 20.0 20.0 11.1 7.7" {
		t.Errorf("got %s in\n%s", got, out.String())
	}
}

func TestBubbleRefusesNoTime(t *testing.T) {
	if status, _, stderr := (&fakeRunner{}).ofpeak("bubble", "--unit", "0s"); status != 1 || !strings.Contains(stderr, "--unit 0s: give a time above 0") {
		t.Errorf("status %d, %s", status, stderr)
	}
}
