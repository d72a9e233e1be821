// Package stats sums up repeated measurements and compares two sets of them, without assuming how they are distributed.
//
// It chooses for its callers: medians with confidence intervals from order statistics, the Mann-Whitney U test, and the Hodges-Lehmann ratio whose
// interval is that test turned around. All assume independent samples; steps of one run that drift together make every interval too narrow.
package stats

import (
	"math"
	"slices"
	"sort"
	"sync"

	moremath "github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"

	"ofpeak/results"
)

// Alpha is the error that every interval and test accepts: confidence is 1 - Alpha.
const Alpha = 0.05

// Summary describes one set of samples, in their unit.
type Summary struct {
	N         int
	Median    float64
	Low, High results.Opt[float64] // 95 % confidence interval of the median; missing below six samples
	SpreadPct results.Opt[float64] // interquartile range / median, in percent; missing below two samples
}

// Summarize describes the samples, of which there must be at least one. It does not change them.
func Summarize(samples []float64) Summary {
	if len(samples) == 0 {
		panic("stats: no samples")
	}
	s := sample(samples)
	m := benchmath.AssumeNothing.Summary(s, 1-Alpha)
	sum := Summary{N: len(samples), Median: m.Center, Low: results.Finite(m.Lo), High: results.Finite(m.Hi)}
	if !sum.Low.Known() || !sum.High.Known() { // an interval with one end is none
		sum.Low, sum.High = results.Opt[float64]{}, results.Opt[float64]{}
	}
	if sum.N > 1 {
		q := moremath.Sample{Xs: s.Values, Sorted: true}
		sum.SpreadPct = results.Finite((q.Quantile(0.75) - q.Quantile(0.25)) / m.Center * 100)
	}
	return sum
}

// sample wraps a sorted copy.
func sample(values []float64) *benchmath.Sample {
	t := benchmath.DefaultThresholds
	t.CompareAlpha = Alpha
	return benchmath.NewSample(slices.Clone(values), &t)
}

// Ratio says how many times as large the values of x are as those of y.
type Ratio struct {
	Center    float64              // Hodges-Lehmann: median of all pairs x/y
	Low, High results.Opt[float64] // 95 % confidence interval; missing where so few samples cannot bound it
	P         float64              // two-sided Mann-Whitney U: chance of a difference this large between equal distributions
	NX, NY    int
}

// Significant reports whether the test rejects that both come from one distribution.
func (r Ratio) Significant() bool { return r.P < Alpha }

// Compare compares two sets of positive samples, neither empty.
//
// The interval holds the ratios that the U test would not reject if y were multiplied by them (Hodges and Lehmann, Estimates of location based on rank
// tests, Ann. Math. Stat. 34, 1963): from the (k+1)-th smallest to the (k+1)-th largest of all pairs x/y, with the largest k for which
// P(U <= k) <= Alpha/2. So the interval holds 1 exactly where the test finds no difference, ties apart.
func Compare(x, y []float64) Ratio {
	if len(x) == 0 || len(y) == 0 {
		panic("stats: no samples")
	}
	sx, sy := sample(x), sample(y)
	nx, ny := len(x), len(y)
	pairs := nx * ny
	r := Ratio{P: benchmath.AssumeNothing.Compare(sx, sy).P, NX: nx, NY: ny}
	r.Center = (kthRatio(sx.Values, sy.Values, (pairs+1)/2) + kthRatio(sx.Values, sy.Values, pairs/2+1)) / 2
	if k := criticalU(nx, ny); k >= 0 {
		r.Low = results.Some(kthRatio(sx.Values, sy.Values, k+1))
		r.High = results.Some(kthRatio(sx.Values, sy.Values, pairs-k))
	}
	return r
}

// criticalUs keeps what criticalU found, as most cases of a file have equally many samples.
var criticalUs sync.Map // of [2]int to int

// criticalU is the largest k with P(U <= k) <= Alpha/2, or -1.
func criticalU(nx, ny int) int {
	if k, ok := criticalUs.Load([2]int{nx, ny}); ok {
		return k.(int)
	}
	k := findCriticalU(nx, ny)
	criticalUs.Store([2]int{nx, ny}, k)
	return k
}

// findCriticalU is exact for the sizes at which the test is, else it takes the same normal approximation.
func findCriticalU(nx, ny int) int {
	if nx <= moremath.MannWhitneyExactLimit && ny <= moremath.MannWhitneyExactLimit {
		d := moremath.UDist{N1: nx, N2: ny}
		return sort.Search(nx*ny, func(k int) bool { return d.CDF(float64(k)) > Alpha/2 }) - 1
	}
	m, n := float64(nx), float64(ny)
	z := -moremath.InvCDF(moremath.StdNormal)(Alpha / 2)
	return int(math.Max(-1, math.Floor(m*n/2-0.5-z*math.Sqrt(m*n*(m+n+1)/12))))
}

// kthRatio is the k-th smallest (from 1) of all x[i]/y[j], for sorted positive x and y, by bisection on the ratio, so that the pairs are never stored.
func kthRatio(x, y []float64, k int) float64 {
	low, high := x[0]/y[len(y)-1], x[len(x)-1]/y[0]
	if countPairs(x, y, low) >= k {
		return low
	}
	for range 100 {
		mid := low + (high-low)/2
		if mid <= low || mid >= high {
			break
		}
		if countPairs(x, y, mid) >= k {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// countPairs is the number of pairs with x[i] <= ratio*y[j].
func countPairs(x, y []float64, ratio float64) int {
	count, i := 0, 0
	for _, v := range y {
		for i < len(x) && x[i] <= ratio*v {
			i++
		}
		count += i
	}
	return count
}
