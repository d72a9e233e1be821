package partition

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func times(ts ...float64) []Layer {
	ls := make([]Layer, len(ts))
	for i, t := range ts {
		ls[i].Time = t
	}
	return ls
}

func TestHandWorked(t *testing.T) {
	down := func(stage int) int { return 2 - stage }
	for _, c := range []struct {
		name    string
		p       Problem
		optimal []int
		equal   []int
	}{
		{"one stage", Problem{Layers: times(1, 2, 3), Stages: 1}, []int{0, 3}, []int{0, 3}},
		{"heavy head", Problem{Layers: times(0, 1, 1, 1, 1, 4), Stages: 2}, []int{0, 5, 6}, []int{0, 3, 6}},
		{"equal blocks", Problem{Layers: times(1, 1, 1, 1), Stages: 2}, []int{0, 2, 4}, []int{0, 2, 4}},
		{"each its own", Problem{Layers: times(5, 0, 5), Stages: 3}, []int{0, 1, 2, 3}, []int{0, 1, 2, 3}},
		// 3+3 fits only a stage of 6 bytes; the first stage holds two microbatches of each layer, so it takes one layer.
		{"memory", Problem{Layers: []Layer{{1, 2, 1}, {1, 2, 1}, {1, 2, 1}}, Stages: 2, InFlight: down, Limit: 7}, []int{0, 1, 3}, nil},
	} {
		got, err := Optimal(c.p)
		if err != nil || !reflect.DeepEqual(got, c.optimal) {
			t.Errorf("%s: optimal %v, %v; want %v", c.name, got, err, c.optimal)
		}
		got, err = Equal(c.p)
		if !reflect.DeepEqual(got, c.equal) || (err == nil) != (c.equal != nil) {
			t.Errorf("%s: equal %v, %v; want %v", c.name, got, err, c.equal)
		}
	}
}

func TestErrorsNameTheWayOut(t *testing.T) {
	for want, p := range map[string]Problem{
		"use 1 to 2":      {Layers: times(1, 1), Stages: 3},
		"cannot be cut":   {Layers: times(1, 1), Stages: 0},
		"raise the limit": {Layers: []Layer{{1, 10, 0}, {1, 10, 0}}, Stages: 2, Limit: 9},
	} {
		for _, cut := range []func(Problem) ([]int, error){Optimal, Equal} {
			if _, err := cut(p); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v does not say %q", err, want)
			}
		}
	}
}

// The dynamic program is as good as trying every cut, and fails only where all do.
func TestAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	infeasible := 0
	for range 2000 {
		n := 1 + rng.IntN(9)
		p := Problem{Stages: 1 + rng.IntN(n), InFlight: func(s int) int { return 4 - min(s, 3) }}
		for range n {
			p.Layers = append(p.Layers, Layer{float64(rng.IntN(10)), rng.Int64N(10), rng.Int64N(5)})
		}
		if rng.IntN(2) == 0 {
			p.Limit = 1 + rng.Int64N(60)
		}
		want := bruteForce(p, nil, 0)
		cuts, err := Optimal(p)
		if math.IsInf(want, 1) {
			infeasible++
			if err == nil {
				t.Fatalf("%+v: found %v where nothing fits", p, cuts)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%+v: %v, but a cut of %g exists", p, err, want)
		}
		if got := Slowest(p.Layers, cuts); got != want {
			t.Fatalf("%+v: %v is as slow as %g, the best is %g", p, cuts, got, want)
		}
		sum := p.prefix()
		for s := range p.Stages {
			if cuts[s] >= cuts[s+1] || !p.fits(sum, s, cuts[s], cuts[s+1]) {
				t.Fatalf("%+v: stage %d of %v is empty or too large", p, s, cuts)
			}
		}
		if eq, err := Equal(p); err == nil && Slowest(p.Layers, eq) < want {
			t.Fatalf("%+v: the equal cut %v beats the optimum", p, eq)
		}
	}
	if infeasible == 0 {
		t.Error("no case was infeasible")
	}
}

// bruteForce is the slowest stage of the best way to end a cut that starts so.
func bruteForce(p Problem, cuts []int, from int) float64 {
	n, s := len(p.Layers), len(cuts)
	sum := p.prefix()
	if s == p.Stages-1 {
		if from == n || !p.fits(sum, s, from, n) {
			return math.Inf(1)
		}
		return Slowest(p.Layers, append(append(append([]int{}, cuts...), from), n))
	}
	best := math.Inf(1)
	for end := from + 1; end < n; end++ {
		if p.fits(sum, s, from, end) {
			best = min(best, bruteForce(p, append(append([]int{}, cuts...), from), end))
		}
	}
	return best
}
