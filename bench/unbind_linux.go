package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"ofpeak/parallel/comm/mpi"
)

// unbind gives a process that a launcher bound to some cores those of its launcher, by starting it anew: which core a rank has is ours to say, since a case
// of one rank has all of them. What the launcher itself may use it leaves as it is.
func unbind() {
	const once = "OFPEAK_UNBOUND"
	var mine, launchers unix.CPUSet
	if _, launched := mpi.Launched(); !launched || os.Getenv(once) != "" {
		return
	}
	if unix.SchedGetaffinity(0, &mine) != nil || unix.SchedGetaffinity(os.Getppid(), &launchers) != nil || mine == launchers {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	runtime.LockOSThread()
	if unix.SchedSetaffinity(0, &launchers) != nil {
		return
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), once+"=1")) // else it goes on, bound
}
