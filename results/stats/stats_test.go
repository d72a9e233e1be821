package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	tests := []struct {
		samples   []float64
		median    float64
		low, high float64 // NaN: missing
		spread    float64
	}{
		{[]float64{3}, 3, math.NaN(), math.NaN(), math.NaN()},
		{[]float64{3, 1, 2, 5, 4}, 3, math.NaN(), math.NaN(), 100 * (4 + 1./3 - 5./3) / 3},
		{[]float64{6, 5, 4, 3, 2, 1}, 3.5, 1, 6, 100 * (3 + 1./6) / 3.5},
		{[]float64{2, 2, 2, 2, 2, 2}, 2, 2, 2, 0},
	}
	for _, test := range tests {
		before := slices.Clone(test.samples)
		s := Summarize(test.samples)
		nan := math.NaN()
		got := []float64{s.Median, s.Low.Or(nan), s.High.Or(nan), s.SpreadPct.Or(nan)}
		for i, want := range []float64{test.median, test.low, test.high, test.spread} {
			if !(math.Abs(got[i]-want) < 1e-12) && !(math.IsNaN(got[i]) && math.IsNaN(want)) {
				t.Errorf("%v: got %v; want median %v, interval %v to %v, spread %v", test.samples, got, test.median, test.low, test.high, test.spread)
				break
			}
		}
		if s.N != len(test.samples) || !slices.Equal(before, test.samples) {
			t.Errorf("%v: N is %d, samples became %v", before, s.N, test.samples)
		}
	}
}

func TestKthRatioEqualsSortedPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		x, y := positive(rng, 1+rng.IntN(9)), positive(rng, 1+rng.IntN(9))
		var pairs []float64
		for _, a := range x {
			for _, b := range y {
				pairs = append(pairs, a/b)
			}
		}
		slices.Sort(pairs)
		for k, want := range pairs {
			if got := kthRatio(x, y, k+1); math.Abs(got/want-1) > 1e-14 {
				t.Fatalf("%v over %v: ratio %d is %v; want %v", x, y, k+1, got, want)
			}
		}
	}
}

// positive draws n sorted numbers with some ties.
func positive(rng *rand.Rand, n int) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = float64(1+rng.IntN(20)) / 8
	}
	slices.Sort(s)
	return s
}

// TestCriticalU is held against the published tables of the two-sided test at 0.05.
func TestCriticalU(t *testing.T) {
	tests := []struct{ nx, ny, want int }{
		{3, 3, -1}, {4, 4, 0}, {5, 5, 2}, {3, 5, 0}, {8, 8, 13}, {10, 10, 23}, {20, 20, 127}, {9, 14, 31},
	}
	for _, test := range tests {
		if got := criticalU(test.nx, test.ny); got != test.want {
			t.Errorf("criticalU(%d, %d) = %d; want %d", test.nx, test.ny, got, test.want)
		}
	}
	// The approximation takes over without a jump.
	exact, approximate := criticalU(50, 50), criticalU(50, 51)
	if approximate < exact || approximate > exact+30 {
		t.Errorf("criticalU(50, 50) = %d, criticalU(50, 51) = %d", exact, approximate)
	}
}

func TestCompareSmall(t *testing.T) {
	r := Compare([]float64{2, 2, 2, 2}, []float64{1, 1, 1, 1})
	if r.Center != 2 || r.Low.Or(0) != 2 || r.High.Or(0) != 2 || !r.Significant() || r.NX != 4 || r.NY != 4 {
		t.Errorf("twice as large: %+v", r)
	}
	r = Compare([]float64{2, 3, 4}, []float64{1, 1, 1})
	if r.Low.Known() || r.High.Known() || r.Significant() || r.Center != 3 {
		t.Errorf("three samples cannot show a difference: %+v", r)
	}
}

// TestCompareCoverage draws many pairs of samples with a known ratio and counts how often the interval holds it, and how often a difference is found
// where there is none.
func TestCompareCoverage(t *testing.T) {
	for _, n := range []int{5, 10, 20, 60} {
		rng := rand.New(rand.NewPCG(7, uint64(n)))
		const trials = 1000
		const truth = 1.25
		missed, alarms, disagree := 0, 0, 0
		for range trials {
			x, y, z := lognormal(rng, n, truth, 0.05), lognormal(rng, n, 1, 0.05), lognormal(rng, n, 1, 0.05)
			if r := Compare(x, y); r.Low.Or(0) > truth || r.High.Or(9) < truth {
				missed++
			}
			r := Compare(z, y)
			if r.Significant() {
				alarms++
			}
			if outside := r.Low.Or(0) > 1 || r.High.Or(9) < 1; outside != r.Significant() {
				disagree++
			}
		}
		if missed > trials*6/100 || alarms > trials*6/100 {
			t.Errorf("n=%d: of %d intervals %d miss the truth; %d false alarms; at most 6 %% allowed", n, trials, missed, alarms)
		}
		if disagree > 0 {
			t.Errorf("n=%d: interval and test disagree in %d of %d trials", n, disagree, trials)
		}
	}
}

func lognormal(rng *rand.Rand, n int, center, sigma float64) []float64 {
	s := make([]float64, n)
	for i := range s {
		s[i] = center * math.Exp(sigma*rng.NormFloat64())
	}
	return s
}
