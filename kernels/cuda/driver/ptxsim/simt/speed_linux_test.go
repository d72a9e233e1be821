package simt

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime is what this process has used of all cores.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Two cores run 50 million instructions of threads a second: 25 million for each second of one core, which other processes do not count in.
func TestInterpreterIsFastEnough(t *testing.T) {
	run, best := streaming(t), 0.0
	for range 5 {
		begin := processorTime(t)
		instructions := run()
		best = max(best, float64(instructions)/(processorTime(t)-begin).Seconds())
	}
	if t.Logf("%.0f million thread-instructions a second of a core", best/1e6); best < 25e6 {
		t.Errorf("%.3g instructions a second", best)
	}
}
