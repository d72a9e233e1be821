package isolate

import (
	"fmt"
	"strings"
	"time"
)

// limits are those of a child; 0: none.
type limits struct {
	all     time.Duration          // from its start to its end
	stopped time.Duration          // that one of its processes may be stopped
	lost    func(child int) string // names those that are gone; nil: no one knows
}

// ending is how a child ended.
type ending struct {
	signal    string // such as "SIGKILL", or ""
	status    int    // exit status, if there was no signal
	timedOut  bool
	stopped   int    // process that was stopped for too long; 0: none
	lost      string // processes that were gone for unnoticed; "": none
	oomKilled bool   // the kernel killed something for want of memory meanwhile
}

// reason says in one line why a child left no row.
func reason(e ending, stage string, tail []string, l limits) string {
	while := ""
	if stage != "" {
		while = " while " + stage
	}
	cause := cause(tail)
	switch {
	case e.timedOut:
		return fmt.Sprintf("no end within --timeout %v%s; raise it, or take a smaller --model", l.all, while)
	case e.stopped > 0:
		return fmt.Sprintf("process %d was stopped by a signal for %v%s", e.stopped, l.stopped, while)
	case e.lost != "" && e.oomKilled:
		return fmt.Sprintf("out of memory%s: the kernel killed %s; take a smaller --model or batch", while, e.lost)
	case e.lost != "":
		return fmt.Sprintf("%s gone for %v, and the launcher did not notice%s", e.lost, unnoticed, while)
	case e.signal == "SIGKILL" && e.oomKilled:
		return fmt.Sprintf("out of memory%s: the kernel killed the process; take a smaller --model or batch", while)
	case outOfMemory(cause):
		return fmt.Sprintf("out of memory%s: %s; take a smaller --model or batch", while, cause)
	case e.signal != "":
		return "killed by " + e.signal + while + suffix(cause)
	}
	return fmt.Sprintf("ended with exit status %d%s and no row%s", e.status, while, suffix(cause))
}

func suffix(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

// causes begin the line in which a crash of Go, C or MPI says what happened.
var causes = []string{"panic:", "fatal error:", "runtime: out of memory", "SIG", "terminate called", "ofpeak:", "Error in initialization"}

// cause is the first line that tells of a crash, or the last one of all.
func cause(tail []string) string {
	for _, line := range tail {
		for _, c := range causes {
			if strings.HasPrefix(line, c) {
				return line
			}
		}
	}
	if len(tail) == 0 {
		return ""
	}
	return tail[len(tail)-1]
}

func outOfMemory(cause string) bool {
	return strings.Contains(cause, "out of memory") || strings.Contains(cause, "cannot allocate memory")
}
