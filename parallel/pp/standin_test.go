package pp

import (
	"testing"
	"time"
)

// Whatever the machine does meanwhile, stages that wait for each other are idle for some of the time, and a stage alone for next to none.
func TestStandIn(t *testing.T) {
	for _, name := range Names {
		chunks := 1
		if name == "interleaved" {
			chunks = 2
		}
		s, _ := Named(name, chunks)
		if got := StandIn(s, 3, 3, 100*time.Microsecond); !(got > 0 && got < 1) {
			t.Errorf("%s: idle for a share of %g", name, got)
		}
	}
	if got := StandIn(OneFOneB, 1, 4, time.Millisecond); !(got >= 0 && got < 0.5) {
		t.Errorf("one stage is idle for a share of %g", got)
	}
}
