package mpi

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// StatusEnv names a folder where every process keeps what it does, for whoever outlives it: a file of its rank's name.
const StatusEnv = "OFPEAK_STATUS"

// Status is what a process kept last.
type Status struct {
	Rank, PID int
	Siblings  int    // ranks of the same host; 0: not told
	Place     string // where the PID means something; see Here
	Action    string
}

// Here names this host, as far as process ids go.
func Here() string {
	host, _ := os.Hostname() // "" is no other's
	space, _ := os.Readlink("/proc/self/ns/pid")
	return strings.Join(strings.Fields(host+"/"+space), "")
}

// Starting notes that this process is there, which comes before anything that could take time.
func Starting() {
	if l, launched := Launched(); launched {
		keepStatus(l, "starting")
	}
}

// keepStatus writes what this process does. It is for a message, or for whoever notices that the process is gone, so that nothing here depends on its success.
func keepStatus(l Launch, action string) {
	dir := os.Getenv(StatusEnv)
	if dir == "" {
		return
	}
	path := filepath.Join(dir, strconv.Itoa(l.Rank))
	if os.WriteFile(path+".new", fmt.Appendf(nil, "%d %d %s %s\n", os.Getpid(), l.LocalSize, Here(), action), 0o600) == nil {
		_ = os.Rename(path+".new", path) // so that a reader never sees half
	}
}

// ReadStatuses are those of a folder, by rank.
func ReadStatuses(dir string) []Status {
	var found []Status
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		rank, err := strconv.Atoi(f.Name())
		if err != nil {
			continue
		}
		text, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		words := strings.SplitN(strings.TrimSpace(string(text)), " ", 4)
		if len(words) < 4 {
			continue
		}
		s := Status{Rank: rank, Place: words[2], Action: words[3]}
		s.PID, _ = strconv.Atoi(words[0])
		s.Siblings, _ = strconv.Atoi(words[1])
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b Status) int { return cmp.Compare(a.Rank, b.Rank) })
	return found
}
