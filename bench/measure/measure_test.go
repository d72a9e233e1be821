package measure

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// clock gives a step the times of f by its number, and counts the steps.
func clock(f func(i int) float64) (step func() (float64, error), steps *int) {
	steps = new(int)
	return func() (float64, error) { *steps++; return f(*steps - 1), nil }, steps
}

func TestRunStops(t *testing.T) {
	rule := Rule{WarmupSteps: 2, WarmupSeconds: 0.5, MinSamples: 6, MaxSamples: 50, TargetPct: 1, Seconds: 5, LimitSeconds: 20}
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name            string
		seconds         func(i int) float64
		warmup, samples int
		stopped         string
	}{
		{"steady: the fewest samples are enough", func(int) float64 { return 0.25 }, 2, 6, Precise},
		{"short steps: warm-up by time, not by steps", func(int) float64 { return 1.0 / 64 }, 32, 6, Precise},
		{"cold steps do not count", func(i int) float64 { return 0.25 + 100*math.Max(0, float64(2-i)) }, 2, 6, Precise},
		{"alternating: spends its time", func(i int) float64 { return 0.125 + 0.25*float64(i%2) }, 2, 20, Time},
		{"noise in short steps: spends its samples", func(int) float64 { return 0.01 * (1 + random.Float64()) }, -1, 50, Samples},
		{"long steps: few samples", func(i int) float64 { return 2 + 0.1*float64(i%2) }, 2, 6, Time},
		{"very long steps: fewer than wanted", func(int) float64 { return 8 }, 2, 3, Time},
		{"longer than the limit: one", func(int) float64 { return 100 }, 2, 1, Time},
	} {
		step, steps := clock(test.seconds)
		r, err := Run(rule, step)
		if err != nil || len(r.Samples) != test.samples || r.Stopped != test.stopped {
			t.Errorf("%s: got %d samples, stopped by %q, %v", test.name, len(r.Samples), r.Stopped, err)
		}
		if test.warmup >= 0 && r.WarmupSteps != test.warmup {
			t.Errorf("%s: %d steps of warm-up, want %d", test.name, r.WarmupSteps, test.warmup)
		}
		if *steps != r.WarmupSteps+len(r.Samples) {
			t.Errorf("%s: %d steps, of which %d and %d are told of", test.name, *steps, r.WarmupSteps, len(r.Samples))
		}
	}
}

func TestRunKeepsOrderAndSummary(t *testing.T) {
	times := []float64{9, 9, 3, 1, 2, 6, 5, 4}
	step, _ := clock(func(i int) float64 { return times[i] })
	r, err := Run(Rule{WarmupSteps: 2, MinSamples: 6, MaxSamples: 6, Seconds: 1, LimitSeconds: 100}, step)
	if err != nil || !slices.Equal(r.Samples, times[2:]) {
		t.Fatalf("got %v, %v", r.Samples, err)
	}
	if s := r.Summary(); s.Median != 3.5 || s.Low.Or(0) != 1 || s.High.Or(0) != 6 {
		t.Errorf("got %+v", s)
	}
	if !slices.Equal(r.Samples, times[2:]) {
		t.Error("Summary sorted the samples")
	}
}

// Two ranks that see the same times take the same number of steps, whatever the times.
func TestRanksStopTogether(t *testing.T) {
	for seed := range uint64(50) {
		times := func() func(int) float64 {
			random := rand.New(rand.NewPCG(seed, 0))
			return func(int) float64 { return math.Exp(random.NormFloat64()*0.3 - 4) }
		}
		var counts []int
		for range 2 {
			step, steps := clock(times())
			if _, err := Run(Quick, step); err != nil {
				t.Fatal(err)
			}
			counts = append(counts, *steps)
		}
		if counts[0] != counts[1] {
			t.Fatalf("seed %d: %d and %d steps", seed, counts[0], counts[1])
		}
	}
}

func TestRunErrors(t *testing.T) {
	broken := errors.New("broken")
	rule := Rule{WarmupSteps: 2, MinSamples: 6, MaxSamples: 9, Seconds: 100, LimitSeconds: 100}
	for _, test := range []struct{ failAt, warmup, samples int }{{0, 0, 0}, {1, 1, 0}, {2, 2, 0}, {4, 2, 2}} {
		n := 0
		r, err := Run(rule, func() (float64, error) {
			if n++; n > test.failAt {
				return 0, broken
			}
			return 1, nil
		})
		if !errors.Is(err, broken) || r.Stopped != "" || r.WarmupSteps != test.warmup || len(r.Samples) != test.samples {
			t.Errorf("failing after %d: got %+v, %v", test.failAt, r, err)
		}
	}
	for _, bad := range []float64{0, -1, math.NaN()} {
		step, _ := clock(func(int) float64 { return bad })
		if _, err := Run(Smoke, step); err == nil {
			t.Errorf("a step of %g s passed", bad)
		}
	}
}

func TestRuleCheck(t *testing.T) {
	for _, r := range []Rule{Smoke, Quick, Full} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	nan := math.NaN()
	for name, change := range map[string]func(*Rule){
		"warm-up steps": func(r *Rule) { r.WarmupSteps = -1 },
		"warm-up time":  func(r *Rule) { r.WarmupSeconds = -1 },
		"settling":      func(r *Rule) { r.SettleSeconds = nan },
		"no samples":    func(r *Rule) { r.MinSamples = 0 },
		"range":         func(r *Rule) { r.MaxSamples = 5 },
		"target":        func(r *Rule) { r.TargetPct = nan },
		"time":          func(r *Rule) { r.Seconds = -1 },
		"limit":         func(r *Rule) { r.LimitSeconds = 1 },
	} {
		r := Quick
		change(&r)
		if r.Check() == nil {
			t.Errorf("%s: %+v passed", name, r)
		}
	}
}

// Until stable, only the target and the limit end a case, and a case that does not get there says so.
func TestUntilStable(t *testing.T) {
	rule := Rule{MinSamples: 6, MaxSamples: 5000, TargetPct: 1, Seconds: 2, LimitSeconds: 40, UntilStable: true}
	for _, test := range []struct {
		name    string
		noise   float64
		stopped string
	}{
		{"calm", 0.02, Precise}, {"noisy", 0.15, Precise}, {"hopeless", 2, Time},
	} {
		random := rand.New(rand.NewPCG(1, 2))
		step, _ := clock(func(int) float64 { return 0.02 * math.Exp(test.noise*random.NormFloat64()) })
		r, err := Run(rule, step)
		if err != nil || r.Stopped != test.stopped {
			t.Errorf("%s: stopped by %q after %d samples, %v", test.name, r.Stopped, len(r.Samples), err)
		}
		if got := precisionPct(r.Summary()); (got <= 1) != (test.stopped == Precise) {
			t.Errorf("%s: known within %.2g %%", test.name, got)
		}
		if caution := rule.Caution(r); (caution == "") != (test.stopped == Precise) || caution != "" && !strings.HasPrefix(caution, "not stable: the median of ") {
			t.Errorf("%s: caution %q", test.name, caution)
		}
	}
	rule.UntilStable = false
	random := rand.New(rand.NewPCG(1, 2))
	step, _ := clock(func(int) float64 { return 0.02 * math.Exp(0.2*random.NormFloat64()) })
	if r, err := Run(rule, step); err != nil || r.Stopped != Time || rule.Caution(r) != "" {
		t.Errorf("otherwise: stopped by %q, %v", r.Stopped, err)
	}
}

// That the rule looks for a moment at which the interval is narrow costs little of what a 95 % interval promises.
func TestStoppedIntervalsHoldTheMedian(t *testing.T) {
	rule := Rule{MinSamples: 6, MaxSamples: 2000, TargetPct: 2, LimitSeconds: 1e9, UntilStable: true}
	const trials = 1000
	held := 0
	for seed := range uint64(trials) {
		random := rand.New(rand.NewPCG(seed, 7))
		step, _ := clock(func(int) float64 { return math.Exp(0.1 * random.NormFloat64()) })
		r, err := Run(rule, step)
		if err != nil {
			t.Fatal(err)
		}
		if s := r.Summary(); s.Low.Or(1) <= 1 && s.High.Or(1) >= 1 {
			held++
		}
	}
	if held < trials*90/100 {
		t.Errorf("%d of %d intervals hold the median", held, trials)
	}
	t.Logf("%d of %d intervals hold the median", held, trials)
}
