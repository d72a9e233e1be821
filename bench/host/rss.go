package host

import (
	"os"
	"strconv"
	"strings"
)

// ResetPeakMemory starts the count of PeakMemory anew, where the system lets a process do that to itself (Linux's clear_refs, value 5).
func ResetPeakMemory() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// PeakMemory is the most memory of this process that was resident at once since ResetPeakMemory, in bytes; ok is false where the system
// does not tell.
func PeakMemory() (bytes int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	return peakMemory(string(status))
}

func peakMemory(status string) (bytes int64, ok bool) {
	for line := range strings.Lines(status) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
