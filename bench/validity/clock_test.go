package validity

import (
	"math"
	"slices"
	"testing"

	"ofpeak/results"
)

func TestClockChangePct(t *testing.T) {
	steady := func(rate float64, n int) []float64 { return slices.Repeat([]float64{rate}, n) }
	spoiled := steady(2, 100)
	for i := range spoiled {
		if i%4 != 0 {
			spoiled[i] = 0.3 // by neighbours
		}
	}
	some := results.Some[float64]
	for name, test := range map[string]struct {
		readings []float64
		want     results.Opt[float64]
	}{
		"none":                {},
		"too few":             {readings: steady(2, 5)},
		"steady":              {steady(2, 6), some(0)},
		"disturbed":           {spoiled, some(0)},
		"falls":               {slices.Concat(steady(2, 3), steady(1.8, 3)), some(10)},
		"rises":               {slices.Concat(steady(1.8, 50), steady(2, 50)), some(10)},
		"falls for a while":   {slices.Concat(steady(2, 48), steady(1.5, 24), steady(2, 48)), some(25)},
		"one slow reading":    {slices.Concat(steady(2, 5), steady(1, 1), steady(2, 6)), some(0)},
		"more than stretches": {steady(3, 1001), some(0)},
	} {
		got, known := ClockChangePct(test.readings).Get()
		if want, wanted := test.want.Get(); known != wanted || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, %v; want %v", name, got, known, test.want)
		}
	}
}
