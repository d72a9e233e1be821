//go:build gpu

package nvml

import (
	"os"
	"strings"
	"testing"

	"ofpeak/results"
)

// Through go-nvml as published: the stand-in tells what was asked for, by its own names and types.
func TestGPUStatesComeFromTheLibrary(t *testing.T) {
	if os.Getenv("OFPEAK_STANDIN") == "" {
		t.Skip("needs the stand-in for NVML: make test-cuda")
	}
	float := results.Some[float64]
	sliced := State{ClockMHz: float(1200), TemperatureC: float(61), Slowed: SlowedBy(0x44)}
	whole := State{ClockMHz: float(1410), TemperatureC: float(61), Slowed: SlowedBy(0x44), PowerW: float(275.5), MemoryBytes: results.Some[int64](3e9), EnergyJ: float(7.5)}
	again := whole
	again.EnergyJ = float(10)
	for bus, want := range map[string][]State{"00000001:3b:00.0": {whole, again}, "00000001:3c:00.0": {sliced, sliced}, "00000001:3d:00.0": {{}}} {
		r, err := Open(bus)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			if got := r.Read(); got != want {
				t.Errorf("reading %d of %s: %+v, want %+v", i, bus, got, want)
			}
		}
	}
	for _, bus := range []string{"00000000:3b:00.0", "00000001:3f:00.0"} {
		if _, err := Open(bus); err == nil || !strings.Contains(err.Error(), "no GPU at "+bus+": ") {
			t.Errorf("%s: %v", bus, err)
		}
	}
	if _, err := Open(""); err == nil {
		t.Error("a GPU without an address is found")
	}
}
