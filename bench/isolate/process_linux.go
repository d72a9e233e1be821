package isolate

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes make the child lead a process group and die with the sweep, even if that is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// yieldToParent lets the kernel, when memory runs out, kill the case and not the sweep, and ties the process to what started it: mpirun's ranks to mpirun.
func yieldToParent() {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
}

// killMarked kills every process that bears a mark, until none is left or a second has passed: some may be starting others.
func killMarked(mark string) {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		pids := bearing(Mark + "=" + mark)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// bearing are the processes whose environment has the entry. A zombie has no environment any more.
func bearing(entry string) []int {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)) // gone or another user's: not ours
		if bytes.Contains(env, []byte(entry+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Gone reports whether a process has ended. One that no one has waited for yet has.
func Gone(pid int) bool {
	state := stateOf(pid)
	return state == 0 || state == 'Z' || state == 'X'
}

// stateOf is what the kernel says that a process does, such as 'T' for stopped; 0: there is none.
func stateOf(pid int) byte {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // gone, perhaps
	if i := bytes.LastIndex(stat, []byte(") ")); i >= 0 && i+2 < len(stat) {
		return stat[i+2]
	}
	return 0
}

// oomKills counts the processes that the kernel has killed for want of memory.
func oomKills() int {
	text, _ := os.ReadFile("/proc/vmstat")
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			kills, _ := strconv.Atoi(strings.TrimSpace(n))
			return kills
		}
	}
	return 0
}
