package measure

import (
	"math"
	"math/rand/v2"
	"testing"
)

// warm runs the warm-up of a rule that demands little and gives up after 1,000 s, with steps of about a second.
func warm(t *testing.T, seconds func(i int) float64) Result {
	t.Helper()
	step, _ := clock(seconds)
	r, err := warmUp(Rule{WarmupSteps: 2, WarmupSeconds: 1, SettleSeconds: 1000}, step)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWarmUpEndsWhenSteady(t *testing.T) {
	for _, test := range []struct {
		name    string
		seconds func(i int) float64
		ended   string
		lo, hi  int // steps
	}{
		{"steady from the start", func(int) float64 { return 1 }, Steady, 24, 24},
		{"two cold steps", func(i int) float64 { return 1 + 30*math.Max(0, float64(2-i)) }, Steady, 24, 24},
		{"settles with a time constant of 10 steps", func(i int) float64 { return 1 + 3*math.Exp(-float64(i)/10) }, Steady, 40, 120},
		{"slows down as the chip gets hot", func(i int) float64 { return 1.2 - 0.2*math.Exp(-float64(i)/20) }, Steady, 40, 200},
		{"drifts by 1 % a step", func(i int) float64 { return 1 * math.Pow(1.01, float64(i)) }, Unsteady, 100, 1000},
		{"drifts by 0.3 % a step", func(i int) float64 { return 1 + 0.003*float64(i) }, Unsteady, 100, 1000},
		{"alternates between two times", func(i int) float64 { return 1 + 0.5*float64(i%2) }, Steady, 24, 48},
		{"a long phase, then another", func(i int) float64 { return 1 + float64(i/15%2) }, Steady, 23, 400},
		{"drops to another level after 18 steps", func(i int) float64 { return 1 + map[bool]float64{true: 1}[i < 18] }, Steady, 24, 60},
		{"steps so long that nothing can be told", func(int) float64 { return 300 }, Short, 4, 4},
	} {
		r := warm(t, test.seconds)
		if r.Warmup != test.ended || r.WarmupSteps < test.lo || r.WarmupSteps > test.hi {
			t.Errorf("%s: %s after %d steps, want %s after %d to %d", test.name, r.Warmup, r.WarmupSteps, test.ended, test.lo, test.hi)
		}
	}
}

// Where the warm-up ends, what is left to settle is within what the rule calls steady.
func TestWarmUpLeavesNoBias(t *testing.T) {
	for _, steps := range []float64{3, 10, 30, 100} {
		time := func(i int) float64 { return 0.5 * (1 + 2*math.Exp(-float64(i)/steps)) }
		r := warm(t, time)
		if bias := (time(r.WarmupSteps)/0.5 - 1) * 100; r.Warmup != Steady || bias > steadyPct {
			t.Errorf("time constant of %g steps: %s after %d steps, still %.2g %% too slow", steps, r.Warmup, r.WarmupSteps, bias)
		}
	}
}

// Noise alone does not keep a case warming up, and does not hide a settling that is far larger.
func TestWarmUpInNoise(t *testing.T) {
	for _, noise := range []float64{0.01, 0.05, 0.3} {
		steps, early := 0, 0
		const trials = 100
		for seed := range uint64(trials) {
			random := rand.New(rand.NewPCG(seed, 1))
			r := warm(t, func(int) float64 { return math.Exp(noise * random.NormFloat64()) })
			if r.Warmup != Steady {
				t.Errorf("noise of %g, seed %d: %s", noise, seed, r.Warmup)
			}
			steps += r.WarmupSteps
			random = rand.New(rand.NewPCG(seed, 2))
			r = warm(t, func(i int) float64 { return (1 + 4*math.Exp(-float64(i)/20)) * math.Exp(noise*random.NormFloat64()) })
			if 4*math.Exp(-float64(r.WarmupSteps)/20) > 2*noise+0.02 {
				early++
			}
		}
		if mean := steps / trials; mean > 30 {
			t.Errorf("noise of %g: %d steps of warm-up where nothing settles", noise, mean)
		}
		if noise <= 0.05 && early > trials/10 {
			t.Errorf("noise of %g: %d of %d warm-ups ended while the change was above twice the noise", noise, early, trials)
		}
	}
}
