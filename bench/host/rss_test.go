package host

import (
	"runtime"
	"testing"
)

func TestPeakMemorySeesWhatWasTouchedAndForgetsOnReset(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process its peak memory")
	}
	ResetPeakMemory()
	before, ok := PeakMemory()
	if !ok {
		t.Fatal("no peak in /proc/self/status")
	}
	const size = 256 << 20
	b := make([]byte, size)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	after, _ := PeakMemory()
	if after-before < size*9/10 {
		t.Errorf("touching %d bytes raised the peak by %d", size, after-before)
	}
	runtime.KeepAlive(b)
}

func TestPeakMemoryReadsTheRightLine(t *testing.T) {
	got, ok := peakMemory("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t    12 kB\nVmRSS:\t 7 kB\n")
	if !ok || got != 12<<10 {
		t.Errorf("got %d, %v", got, ok)
	}
	if _, ok := peakMemory("Name:\tx\n"); ok {
		t.Error("found a peak where there is none")
	}
}
