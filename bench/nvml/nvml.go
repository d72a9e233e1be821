// Package nvml watches what an NVIDIA GPU does while something is measured on it: its clock, power, temperature and memory, what slowed it down, and the energy
// that it took. It reads NVIDIA's management library, libnvidia-ml.so.1, which comes with the driver; what that does not tell is left out.
package nvml

import (
	"fmt"
	"math/bits"
	"strings"

	"ofpeak/results"
)

// Reader reads the state of one GPU.
type Reader interface {
	Read() State
}

// State is one reading of a GPU. What the GPU does not support, or does not tell of a slice of it, is missing.
type State struct {
	ClockMHz     results.Opt[float64] // of the SMs
	MaxClockMHz  results.Opt[float64] // that they can have
	PowerW       results.Opt[float64] // of the board
	TemperatureC results.Opt[float64]
	MemoryBytes  results.Opt[int64]   // in use by all processes, and by the driver
	EnergyJ      results.Opt[float64] // of the board since the driver was loaded
	Slowed       Reasons
}

// Reasons are the bits of nvmlClocksEventReasons (nvml.h): why the clock is not as high as it could be. The zero value was not read.
type Reasons struct {
	bits  uint64
	known bool
}

// SlowedBy are reasons as NVML gives them.
func SlowedBy(bits uint64) Reasons { return Reasons{bits, true} }

// idle is the bit of a GPU that has nothing to do, which slows nothing down.
const idle = 1 << 0

// reasonNames are those that nvidia-smi has, by bit.
var reasonNames = map[int]string{
	1: "applications_clocks_setting", 2: "sw_power_cap", 3: "hw_slowdown", 4: "sync_boost", 5: "sw_thermal_slowdown", 6: "hw_thermal_slowdown",
	7: "hw_power_brake_slowdown", 8: "display_clock_setting", 9: "board_limit", 10: "reliability",
}

// or is what either has.
func (r Reasons) or(s Reasons) Reasons { return Reasons{r.bits | s.bits, r.known || s.known} }

// Names of the reasons, in NVML's order, without idleness. A bit that has no name here is "reason_" and its number.
func (r Reasons) Names() []string {
	var names []string
	for left := r.bits &^ idle; left != 0; left &= left - 1 {
		bit := bits.TrailingZeros64(left)
		name, ok := reasonNames[bit]
		if !ok {
			name = fmt.Sprintf("reason_%d", bit)
		}
		names = append(names, name)
	}
	return names
}

// String is the names joined by ";", "none", or "" if they were not read.
func (r Reasons) String() string {
	switch names := r.Names(); {
	case !r.known:
		return ""
	case len(names) == 0:
		return "none"
	default:
		return strings.Join(names, ";")
	}
}
