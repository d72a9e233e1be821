//go:build unix

package results

import (
	"errors"

	"golang.org/x/sys/unix"
)

// lock keeps every other Writer off the file until it is closed or its process ends, however it ends. A file system that has no locks is used without.
func (w *Writer) lock() error {
	if err := unix.Flock(int(w.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New(w.path + ": another ofpeak is writing it; wait for its end, or choose another file with --out")
	}
	return nil
}
