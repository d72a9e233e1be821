package stats

import (
	"slices"
	"testing"
)

func TestNearestHalf(t *testing.T) {
	for _, c := range []struct{ items, want []float64 }{
		{nil, nil},
		{[]float64{9}, []float64{9}},
		{[]float64{1, 50, 4}, []float64{4, 1}},
		{[]float64{3, 5, 90, 4}, []float64{4, 3}}, // of two that are equally far the first
	} {
		before := slices.Clone(c.items)
		if got := NearestHalf(c.items, 4, func(v float64) float64 { return v }); !slices.Equal(got, c.want) || !slices.Equal(c.items, before) {
			t.Errorf("of %v: %v, want %v", before, got, c.want)
		}
	}
}
