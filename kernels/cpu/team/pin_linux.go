package team

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// setAffinity binds the calling thread to a core.
func setAffinity(core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to core %d: %w; choose cores that the process may use (taskset -p shows them)", core, err)
	}
	return nil
}

// Cores returns the cores that the calling thread may run on, ascending.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read the allowed cores: %w", err)
	}
	cores := make([]int, 0, set.Count())
	for core := 0; len(cores) < cap(cores); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}

// Yield lets another thread of the process have this core, if one wants it.
func Yield() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// wakeSlice is how many nanoseconds a prompt thread runs at once: the shortest slice that Linux grants.
const wakeSlice = 100_000

// Prompt has the system run the calling thread as soon as it is woken, and not only when one that computes on the same core has used up its slice. In
// return it runs for short times where both have work. Linux does so from 6.12 on; before, and under other policies, nothing changes.
func Prompt() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = wakeSlice
	_ = unix.SchedSetAttr(0, attr, 0)
}
