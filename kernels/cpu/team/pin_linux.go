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
