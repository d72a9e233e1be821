package rig

import (
	"math"
	"testing"
	"time"

	"ofpeak/parallel/trainer"
)

// By hand: of steps of 10, 11, 12, 40 and 500 ms the median is 12 ms, and 12, 11 and 10 ms count, of which 2+4+3 of 33 ms are exposed. A step that took
// 500 ms, nearly all of it waiting, counts for nothing.
func TestTypicalPhases(t *testing.T) {
	samples := []float64{0.010, 0.500, 0.011, 0.040, 0.012}
	var reports []trainer.Report
	for i, exposed := range []int{2, 499, 4, 30, 3} {
		reports = append(reports, trainer.Report{Exposed: time.Duration(exposed) * time.Millisecond, Forward: time.Duration(1+i) * time.Millisecond})
	}
	got := typical(reports, samples)
	want := phases{Exposed: 0.012 * 9 / 33, Forward: 0.012 * (1 + 3 + 5) / 33}
	for _, d := range []float64{got.Exposed - want.Exposed, got.Forward - want.Forward, got.Bubble} {
		if math.Abs(d) > 1e-12 {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := typical(reports[:0], samples); got != (phases{}) {
		t.Errorf("of no steps %+v", got)
	}
	if more := typical(append(reports, trainer.Report{Exposed: time.Hour}), samples); more != got {
		t.Errorf("a step without a sample counts: %+v", more)
	}
}
