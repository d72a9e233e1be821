package nvml

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"ofpeak/results"
)

// What a Summary's energy is of.
const (
	Counted   = "NVML energy" // the GPU's own counter
	FromPower = "NVML power"  // mean power times time
)

// Summary is what the readings of a GPU, or of several, came to.
type Summary struct {
	ClockMHz      results.Opt[float64] // mean over the readings of a GPU that had work, and over GPUs
	LeastClockMHz results.Opt[float64] // the least of these
	MaxClockMHz   results.Opt[float64] // that the SMs can have
	PowerW        results.Opt[float64] // of one GPU: mean over the readings, and over GPUs
	TemperatureC  results.Opt[float64] // highest
	MemoryBytes   results.Opt[int64]   // most in use on one GPU
	EnergyJ       results.Opt[float64] // of all GPUs
	EnergyBasis   string               // Counted, FromPower, or both joined by "+"; "" without energy
	Slowed        Reasons              // at any reading
}

// setEnergy takes the rise of the counter. One that has not risen, since it is renewed only now and then, or has begun anew, tells nothing.
func (s *Summary) setEnergy(before, after results.Opt[float64], took time.Duration) {
	if rise := after.Or(0) - before.Or(0); before.Known() && after.Known() && rise > 0 {
		s.EnergyJ, s.EnergyBasis = results.Some(rise), Counted
		return
	}
	if power, ok := s.PowerW.Get(); ok {
		s.EnergyJ, s.EnergyBasis = results.Some(power*took.Seconds()), FromPower
	}
}

// wire is a Summary on its way to another process.
type wire struct {
	Clock, Least, Max, Power, Temperature, Energy results.Opt[float64]
	Memory                                        results.Opt[int64]
	Basis                                         string
	Slowed                                        uint64
	Told                                          bool // what slowed the clock
}

// MarshalBinary writes all of it.
func (s Summary) MarshalBinary() ([]byte, error) {
	return json.Marshal(wire{s.ClockMHz, s.LeastClockMHz, s.MaxClockMHz, s.PowerW, s.TemperatureC, s.EnergyJ, s.MemoryBytes, s.EnergyBasis, s.Slowed.bits, s.Slowed.known})
}

// UnmarshalBinary reads what MarshalBinary writes.
func (s *Summary) UnmarshalBinary(b []byte) error {
	var w wire
	err := json.Unmarshal(b, &w)
	*s = Summary{w.Clock, w.Least, w.Max, w.Power, w.Temperature, w.Memory, w.Energy, w.Basis, Reasons{w.Slowed, w.Told}}
	return err
}

// Join sums up several GPUs. The energy is known if that of each is.
func Join(gpus []Summary) Summary {
	var out Summary
	var clock, power mean
	var bases []string
	energy, known := 0.0, len(gpus) > 0
	for _, g := range gpus {
		clock.add(g.ClockMHz)
		power.add(g.PowerW)
		out.LeastClockMHz = least(out.LeastClockMHz, g.LeastClockMHz)
		out.MaxClockMHz = most(out.MaxClockMHz, g.MaxClockMHz)
		out.TemperatureC = most(out.TemperatureC, g.TemperatureC)
		out.MemoryBytes = most(out.MemoryBytes, g.MemoryBytes)
		out.Slowed = out.Slowed.or(g.Slowed)
		energy, known = energy+g.EnergyJ.Or(0), known && g.EnergyJ.Known()
		bases = append(bases, g.EnergyBasis)
	}
	out.ClockMHz, out.PowerW = clock.value(), power.value()
	if known {
		slices.Sort(bases)
		out.EnergyJ, out.EnergyBasis = results.Some(energy), strings.Join(slices.Compact(bases), "+")
	}
	return out
}

// Cautions say in words what kept the clock down.
func (s Summary) Cautions() []string {
	names := s.Slowed.Names()
	if len(names) == 0 {
		return nil
	}
	note := "the GPU's clock was held down by " + strings.Join(names, ", ")
	if low, ok := s.LeastClockMHz.Get(); ok && s.MaxClockMHz.Known() {
		note += fmt.Sprintf(" (to %.0f of %.0f MHz)", low, s.MaxClockMHz.Or(0))
	}
	return []string{note}
}

// mean of the known ones.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v results.Opt[float64]) {
	if v.Known() {
		m.sum, m.n = m.sum+v.Or(0), m.n+1
	}
}

func (m *mean) value() results.Opt[float64] {
	if m.n == 0 {
		return results.Opt[float64]{}
	}
	return results.Some(m.sum / float64(m.n))
}

func least[T int64 | float64](a, b results.Opt[T]) results.Opt[T] { return pick(a, b, -1) }

func most[T int64 | float64](a, b results.Opt[T]) results.Opt[T] { return pick(a, b, 1) }

// pick is the known one of two, or of two known ones the one that compares so to the other.
func pick[T int64 | float64](a, b results.Opt[T], order int) results.Opt[T] {
	x, known := a.Get()
	y, other := b.Get()
	if !known || other && cmp.Compare(y, x) == order {
		return b
	}
	return a
}
