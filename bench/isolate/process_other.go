//go:build unix && !linux

package isolate

import (
	"syscall"
	"time"
)

// attributes make the child lead a process group. The end of the sweep reaches it through its standard input only.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func yieldToParent() {}

// killMarked does nothing: other processes' environments cannot be read here.
func killMarked(string) {}

// Gone reports whether a process has ended, as far as can be known here.
func Gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

// Running is not known here.
func Running(int, string) int { return 0 }

// oomKills is not known here.
func oomKills() int { return 0 }

// watchStopped tells nothing: processes' states cannot be read here.
func watchStopped(int, time.Duration, <-chan struct{}) <-chan int { return nil }
