package isolate

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// lookForStopped is how often a case's processes are looked at.
const lookForStopped = 250 * time.Millisecond

// watchStopped tells of a process of the tree below pid, itself included, that a signal has kept stopped for so long. It ends with done. What a process started and
// left to others is not seen, nor anything where the kernel does not tell children.
func watchStopped(pid int, long time.Duration, done <-chan struct{}) <-chan int {
	found := make(chan int, 1)
	go func() {
		tick := time.NewTicker(min(lookForStopped, long/4+1))
		defer tick.Stop()
		since := map[int]time.Time{}
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				still := map[int]time.Time{}
				for _, p := range stopped(pid, nil) {
					still[p] = now
					if at, ok := since[p]; ok {
						still[p] = at
					}
					if now.Sub(still[p]) >= long {
						found <- p
						return
					}
				}
				since = still
			}
		}
	}()
	return found
}

// stopped adds the stopped processes of a tree. One that a debugger has stopped is none.
func stopped(pid int, found []int) []int {
	each(pid, func(pid int) {
		if stateOf(pid) == 'T' {
			found = append(found, pid)
		}
	})
	return found
}

// Running counts the processes of a tree that run a program.
func Running(pid int, program string) int {
	n := 0
	each(pid, func(pid int) {
		if at, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); at == program { // none: gone, or a zombie
			n++
		}
	})
	return n
}

// each calls f with every process of a tree.
func each(pid int, f func(pid int)) {
	f(pid)
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range threads { // any of them may have started a child
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, c := range bytes.Fields(children) {
			if child, err := strconv.Atoi(string(c)); err == nil {
				each(child, f)
			}
		}
	}
}
