package comm

import (
	"fmt"
	"sync"
	"time"

	"ofpeak/kernels"
)

// Action is one call of a communicator.
type Action struct {
	Op       Op
	Elements int
	Type     kernels.DType
	Ranks    int // of the communicator
}

// bytes are those of the operand.
func (a Action) bytes() int64 { return int64(a.Elements) * int64(a.Type.Size()) }

// String is such as "all-reduce of 65536 fp32 among 4 ranks".
func (a Action) String() string {
	if a.Ranks == 0 {
		return "no call"
	}
	what := a.Op.String()
	if a.Elements > 0 {
		what += fmt.Sprintf(" of %d %v", a.Elements, a.Type)
	}
	return fmt.Sprintf("%s among %d ranks", what, a.Ranks)
}

// most is how many calls of a rank can be under way at once: one a stream.
const most = 8

// Journal keeps what one rank does, so that a world that stands still can say where. To keep it allocates nothing.
type Journal struct {
	mu      sync.Mutex
	note    string
	done    int64
	under   [most]entry
	last    Action
	lastAt  time.Time
	streams []kernels.WatchedStream
}

type entry struct {
	Action
	since time.Time
}

// Note says in a word or two what the rank is about, such as "measuring".
func (j *Journal) Note(text string) {
	j.mu.Lock()
	j.note = text
	j.mu.Unlock()
}

// Follow makes a stream's operators part of what the rank does.
func (j *Journal) Follow(s kernels.WatchedStream) {
	j.mu.Lock()
	j.streams = append(j.streams, s)
	j.mu.Unlock()
}

// JournalOf is that of a communicator; nil: it keeps none.
func JournalOf(c Communicator) *Journal {
	if j, ok := As[interface{ Journal() *Journal }](c); ok {
		return j.Journal()
	}
	return nil
}

// Begin notes that a call is under way, until End of the number returned.
func (j *Journal) Begin(a Action) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.under {
		if j.under[i].since.IsZero() {
			j.under[i] = entry{a, time.Now()}
			return i
		}
	}
	return -1
}

// End notes that a call has ended.
func (j *Journal) End(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done++
	if n >= 0 {
		j.last, j.lastAt = j.under[n].Action, time.Now()
		j.under[n] = entry{}
	}
}

// State is a rank's journal at one moment.
type State struct {
	Note    string
	Done    int64            // calls and operators ended
	Working kernels.Progress // of the stream whose operator is under way longest; Op is "": none is. Longest is that of all streams
	Waiting bool             // a call is under way: Action, the oldest; else Action is what ended last
	Action  Action
	Since   time.Time // that Action began, or ended; zero: there was none
}

// State reads the journal.
func (j *Journal) State() State {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := State{Note: j.note, Done: j.done, Action: j.last, Since: j.lastAt}
	for _, e := range j.under {
		if !e.since.IsZero() && (!s.Waiting || e.since.Before(s.Since)) {
			s.Waiting, s.Action, s.Since = true, e.Action, e.since
		}
	}
	for _, stream := range j.streams {
		p := stream.Progress()
		s.Done += p.Ended
		longest := max(s.Working.Longest, p.Longest)
		if p.Op != "" && (s.Working.Op == "" || p.Since.Before(s.Working.Since)) {
			s.Working = p
		}
		s.Working.Longest = longest
	}
	return s
}

// At tells the state as of a moment, such as "measuring: 9.8 s in all-reduce of 65536 fp32 among 4 ranks".
func (s State) At(now time.Time) string {
	text := "no call yet"
	switch age := now.Sub(s.Since).Seconds(); {
	case s.Waiting:
		text = fmt.Sprintf("%.1f s in %v", age, s.Action)
	case !s.Since.IsZero():
		text = fmt.Sprintf("%.1f s since %v", age, s.Action)
	}
	if s.Working.Op != "" {
		text = fmt.Sprintf("%.1f s in %s, %s", now.Sub(s.Working.Since).Seconds(), s.Working.Op, text)
	}
	if s.Note != "" {
		text = s.Note + ": " + text
	}
	return text
}
