//go:build unix

package validity

import "golang.org/x/sys/unix"

// involuntarySwitches is how often this process was put off a core before it was done.
func involuntarySwitches() (int64, bool) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return int64(u.Nivcsw), err == nil
}
