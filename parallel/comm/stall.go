package comm

import (
	"fmt"
	"strings"
	"time"
)

// DefaultStall is how long a world may stand still: what the abort itself takes is then over within ten seconds.
const DefaultStall = 5 * time.Second

// endless is how many times as long as the longest before it an operator may take while others wait.
const endless = 50

// slowLink is the rate in bytes a second below which a call that all ranks are in counts as one that does not go on.
const slowLink = 1e6

// Report is what a rank tells of itself at one moment.
type Report struct {
	Waiting bool          // in a call, and in no operator
	Done    int64         // calls and operators ended
	CPU     time.Duration // processor time that its process has used
	Op      time.Duration // that it is in an operator; 0: in none
	Longest time.Duration // that an operator took before
	Moving  time.Duration // that the call under way may take for its bytes alone
	Text    string        // what it does, in words
}

// Report is the state as of a moment, of a rank whose process has used so much processor time.
func (s State) Report(now time.Time, cpu time.Duration) Report {
	r := Report{Done: s.Done, CPU: cpu, Longest: s.Working.Longest, Text: s.At(now)}
	switch {
	case s.Working.Op != "":
		r.Op = now.Sub(s.Working.Since)
	case s.Waiting:
		r.Waiting, r.Moving = true, time.Duration(float64(s.Action.bytes())/slowLink*1e9)
	}
	return r
}

// Watch finds out that a world stands still. A rank that others wait for has stalled when for a while it has ended no call and no operator, and either uses no
// processor or is in an operator that takes longer than any before it by far. A rank with much to do, and a world that is slow, are none.
type Watch struct {
	after time.Duration
	ranks []watched
}

type watched struct {
	Report
	calm Calm
}

// NewWatch is of so many ranks, which may stand still for so long.
func NewWatch(ranks int, after time.Duration) *Watch {
	return &Watch{after, make([]watched, ranks)}
}

// Take notes what a rank reports.
func (w *Watch) Take(rank int, now time.Time, r Report) {
	one := &w.ranks[rank]
	one.Report = r
	one.calm.Note(now, r.Done, r.CPU)
}

// Forget begins to watch a rank anew.
func (w *Watch) Forget(rank int) { w.ranks[rank].calm = Calm{} }

// Err is nil, or says which of the first so many ranks stand still, and what each did last.
func (w *Watch) Err(now time.Time, ranks int) error {
	var at []int // whom the others wait for
	waiting := false
	for r := range ranks {
		one := &w.ranks[r]
		if one.calm.Still(now) < w.after || !one.Waiting && !one.stuck(w.after) {
			return nil
		}
		if waiting = waiting || one.Waiting; !one.Waiting {
			at = append(at, r)
		}
	}
	switch {
	case !waiting || len(at) == 0 && w.moves(ranks):
		return nil
	case len(at) > 0:
		return fmt.Errorf("%s stalled: others wait for it; %s", Names(at), w.Actions(at, ranks))
	}
	return fmt.Errorf("all ranks wait and none computes: deadlock; %s", w.Actions(All(ranks), ranks))
}

// stuck reports whether a rank that has ended nothing for so long does nothing, or nothing that ends.
func (one *watched) stuck(after time.Duration) bool {
	return one.calm.For() >= after || one.Op >= max(after, endless*one.Longest)
}

// moves reports whether a call that all ranks are in may still be moving its bytes.
func (w *Watch) moves(ranks int) bool {
	for r := range ranks {
		one := &w.ranks[r]
		if one.calm.For() < w.after+one.Moving {
			return true
		}
	}
	return false
}

// Actions are what some ranks did last, and then what the first other of so many did.
func (w *Watch) Actions(some []int, ranks int) string {
	var parts []string
	seen := map[int]bool{}
	for _, r := range some {
		seen[r] = true
		parts = append(parts, fmt.Sprintf("rank %d: %s", r, w.ranks[r].Text))
	}
	for r := range ranks {
		if !seen[r] {
			parts = append(parts, fmt.Sprintf("rank %d: %s", r, w.ranks[r].Text))
			break
		}
	}
	return strings.Join(parts, "; ")
}

// Names are such as "rank 1, rank 3".
func Names(ranks []int) string {
	var parts []string
	for _, r := range ranks {
		parts = append(parts, fmt.Sprintf("rank %d", r))
	}
	return strings.Join(parts, ", ")
}

// All are the ranks from 0.
func All(ranks int) []int {
	all := make([]int, ranks)
	for r := range all {
		all[r] = r
	}
	return all
}
