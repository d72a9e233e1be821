package comm

import (
	"testing"
	"time"
)

func TestCalm(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		done func(tick int) int64
		cpu  func(tick int) time.Duration // ticks are quarters of a second
		want time.Duration
	}{
		{"waits, and looks for messages", func(int) int64 { return 7 }, func(i int) time.Duration { return time.Duration(i) * time.Millisecond }, 10 * time.Second},
		{"computes", func(int) int64 { return 7 }, func(i int) time.Duration { return time.Duration(i) * 250 * time.Millisecond }, 0},
		{"computes on a crowded core", func(int) int64 { return 7 }, func(i int) time.Duration { return time.Duration(i) * 20 * time.Millisecond }, 0},
		{"ends calls", func(i int) int64 { return int64(i) }, func(int) time.Duration { return 0 }, 0},
		{"ended a call three seconds ago", func(i int) int64 { return int64(min(i, 28)) }, func(int) time.Duration { return 0 }, 3 * time.Second},
		{"computed until four seconds ago", func(int) int64 { return 1 }, func(i int) time.Duration { return time.Duration(min(i, 24)) * 250 * time.Millisecond }, 4 * time.Second},
	} {
		var c Calm
		now := start
		for tick := range 41 {
			now = start.Add(time.Duration(tick) * 250 * time.Millisecond)
			c.Note(now, test.done(tick), test.cpu(tick))
		}
		if got := c.For(); got != test.want {
			t.Errorf("%s: calm for %v, want %v", test.name, got, test.want)
		}
	}
	if c := (Calm{}); c.For() != 0 {
		t.Error("calm before anything is known")
	}
}

func TestJournal(t *testing.T) {
	var j Journal
	if s := j.State().At(time.Now()); s != "no call yet" {
		t.Errorf("a new journal: %q", s)
	}
	a := j.Begin(Action{Op: AllReduce, Elements: 8, Type: 2, Ranks: 4})
	j.Begin(Action{Op: Barrier, Ranks: 2})
	j.Note("measuring")
	s := j.State()
	if got := s.At(s.Since.Add(3 * time.Second)); got != "measuring: 3.0 s in all-reduce of 8 fp32 among 4 ranks" {
		t.Errorf("the older of two calls: %q", got)
	}
	j.End(a)
	if s = j.State(); s.Done != 1 || !s.Waiting || s.Action.Op != Barrier {
		t.Errorf("one ended: %+v", s)
	}
	for range 2 * most {
		j.End(j.Begin(Action{Op: Broadcast, Elements: 1, Type: 1, Ranks: 2}))
	}
	for range 2 * most { // more than there is room for
		j.Begin(Action{Op: Barrier, Ranks: 2})
	}
	if s := j.State(); s.Done != 1+2*most || !s.Waiting {
		t.Errorf("many calls: %+v", s)
	}
}
