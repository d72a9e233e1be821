//go:build unix

package validity

import "golang.org/x/sys/unix"

// usage is how often this process was put off a core before it was done, and the ns that its threads ran.
func usage() (switches, ns int64, ok bool) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return int64(u.Nivcsw), u.Utime.Nano() + u.Stime.Nano(), err == nil
}
