package host

import "testing"

// A link takes from 3 to 20 cycles of a clock of 0.5 to 6 GHz.
func TestClockRate(t *testing.T) {
	if rate := ClockRate(); rate < 0.5e9/20 || rate > 6e9/3 {
		t.Errorf("%g links a second", rate)
	}
}
