//go:build unix

package comm

import (
	"time"

	"golang.org/x/sys/unix"
)

// ProcessTime is the processor time that this process has used; false where the system does not tell.
func ProcessTime() (time.Duration, bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
