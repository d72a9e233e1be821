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

// oomKills is not known here.
func oomKills() int { return 0 }

// watchStopped tells nothing: processes' states cannot be read here.
func watchStopped(int, time.Duration, <-chan struct{}) <-chan int { return nil }
