package host

import "testing"

// A link takes from 3 to 20 cycles of a clock of 0.5 to 6 GHz.
func TestClockRate(t *testing.T) {
	for name, rate := range map[string]float64{"rate": ClockRate(), "glance": ClockGlance()} {
		if rate < 0.5e9/20 || rate > 6e9/3 {
			t.Errorf("%s: %g links a second", name, rate)
		}
	}
}
