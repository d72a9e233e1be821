package rig

import (
	"slices"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

func TestPartners(t *testing.T) {
	many := make([]int, 65)
	for i := range many {
		many[i] = 100 + i
	}
	for _, test := range []struct{ cores, want []int }{
		{[]int{4, 6}, []int{6}},
		{[]int{0, 1, 2, 3}, []int{1, 2, 3}},
		{many, []int{108, 116, 124, 132, 140, 148, 156, 164}},
	} {
		if got := partners(test.cores); !slices.Equal(got, test.want) {
			t.Errorf("of %v: %v, want %v", test.cores, got, test.want)
		}
	}
}

// Cores that lie apart are a caution, once they were seen nearer.
func TestHandoffCaution(t *testing.T) {
	r := &Rig{cores: []int{0, 1}, handoffs: map[int]float64{}}
	r.keepHandoff(2, 60)
	r.keepHandoff(2, 40)
	r.keepHandoff(2, 170)
	some := results.Some[float64]
	for name, test := range map[string]struct {
		line    string
		handoff results.Opt[float64]
		want    []string
	}{
		"near":     {"model=tiny dp=2", some(59), nil},
		"unknown":  {"model=tiny dp=2", results.Opt[float64]{}, nil},
		"one core": {"model=tiny threads=1", results.Opt[float64]{}, nil},
		"apart":    {"model=tiny dp=2", some(170), []string{"the cores lay apart: one saw in 170 ns what another wrote, and in 40 ns at another time of the run"}},
		"one rank": {"model=tiny", some(60), []string{"the cores lay apart: one saw in 60 ns what another wrote, and in 40 ns at another time of the run"}},
	} {
		c, err := workload.ParseCase(test.line)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.handoffCaution(c, test.handoff); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
