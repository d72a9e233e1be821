package comm

import (
	"strings"
	"testing"
	"time"
)

// Three ranks are watched for a while, each as a function of the time tells.
func TestWatch(t *testing.T) {
	const second = time.Second
	waits := func(time.Duration) Report { return Report{Waiting: true, Done: 3, Text: "waits"} }
	sleeps := func(time.Duration) Report { return Report{Done: 2, Text: "sleeps"} }
	computes := func(at time.Duration) Report { return Report{Done: 2, CPU: at} }
	in := func(longest time.Duration) func(time.Duration) Report {
		return func(at time.Duration) Report {
			return Report{Done: 2, CPU: at, Op: at, Longest: longest, Text: "computes"}
		}
	}
	until := func(end time.Duration, then func(time.Duration) Report) func(time.Duration) Report {
		return func(at time.Duration) Report {
			if at < end {
				return Report{Done: int64(at)}
			}
			return then(at)
		}
	}
	moves := func(at time.Duration) Report { return Report{Waiting: true, Done: 3, Moving: 20 * second} }
	for _, test := range []struct {
		name  string
		ranks [3]func(time.Duration) Report
		watch time.Duration
		want  string // "": goes on
	}{
		{"one sleeps", [3]func(time.Duration) Report{waits, sleeps, waits}, 6 * second, "rank 1 stalled: others wait for it; rank 1: sleeps; rank 0: waits"},
		{"not for long", [3]func(time.Duration) Report{waits, sleeps, waits}, 4 * second, ""},
		{"since lately", [3]func(time.Duration) Report{waits, until(3*second, sleeps), waits}, 7 * second, ""},
		{"since long", [3]func(time.Duration) Report{waits, until(3*second, sleeps), waits}, 9 * second, "rank 1 stalled"},
		{"two sleep", [3]func(time.Duration) Report{sleeps, waits, sleeps}, 6 * second, "rank 0, rank 2 stalled"},
		{"nobody waits", [3]func(time.Duration) Report{sleeps, sleeps, sleeps}, 60 * second, ""},
		{"one waits but lately", [3]func(time.Duration) Report{until(3*second, waits), sleeps, waits}, 7 * second, ""},
		{"one sleeps, one computes", [3]func(time.Duration) Report{waits, sleeps, computes}, 60 * second, ""},
		{"much to do between operators", [3]func(time.Duration) Report{waits, computes, waits}, 60 * second, ""},
		{"a long operator", [3]func(time.Duration) Report{waits, in(2 * second), waits}, 60 * second, ""},
		{"an operator without end", [3]func(time.Duration) Report{waits, in(10 * time.Millisecond), waits}, 6 * second, "rank 1 stalled"},
		{"an operator without end, after longer ones", [3]func(time.Duration) Report{waits, in(second), waits}, 51 * second, "rank 1 stalled"},
		{"all wait", [3]func(time.Duration) Report{waits, waits, waits}, 6 * second, "all ranks wait and none computes: deadlock; rank 0: waits; rank 1: waits; rank 2: waits"},
		{"much to move", [3]func(time.Duration) Report{moves, moves, moves}, 24 * second, ""},
		{"longer than it can take to move", [3]func(time.Duration) Report{moves, moves, moves}, 27 * second, "deadlock"},
	} {
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		w := NewWatch(3, 5*second)
		var err error
		for at := time.Duration(0); at <= test.watch && err == nil; at += 250 * time.Millisecond {
			for r, report := range test.ranks {
				w.Take(r, start.Add(at), report(at))
			}
			err = w.Err(start.Add(at), 3)
		}
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// A world of fewer ranks than there are is judged by itself, and one that is watched anew gets its time again.
func TestWatchOfSome(t *testing.T) {
	now, w := time.Now(), NewWatch(3, time.Second)
	for i := range 12 {
		at := now.Add(time.Duration(i) * 250 * time.Millisecond)
		w.Take(0, at, Report{Waiting: true})
		w.Take(1, at, Report{})
		w.Take(2, at, Report{Done: int64(i)})
	}
	end := now.Add(3 * time.Second)
	if w.Err(end, 2) == nil || w.Err(end, 3) != nil {
		t.Errorf("of two: %v, of three: %v", w.Err(end, 2), w.Err(end, 3))
	}
	w.Forget(1)
	if err := w.Err(end, 2); err != nil {
		t.Error(err)
	}
}
