package pp

import (
	"math"
	"slices"
	"testing"
)

// With equal stages and free transfers a step is as long as its formula says, and with a slow stage no shorter than that stage's work.
func TestEndsAreTheFormulas(t *testing.T) {
	for stages := 1; stages <= 8; stages++ {
		for m := stages; m <= 4*stages; m += stages {
			for _, c := range []struct {
				name   string
				chunks int
				bubble float64
			}{{"gpipe", 1, Bubble(stages, m)}, {"1f1b", 1, Bubble(stages, m)}, {"interleaved", 2, BubbleInterleaved(stages, m, 2)}, {"zb-h1", 1, BubbleZBH1(stages, m)}} {
				s, _ := Named(c.name, c.chunks)
				unit := Times{Forward: 1 / float64(c.chunks), BackwardInput: 1 / float64(c.chunks), BackwardWeight: 1 / float64(c.chunks)}
				ends := Ends(s, stages, m, func(int, int) Times { return unit })
				busy := 3 * float64(m)
				if got := 1 - busy/slices.Max(ends); math.Abs(got-c.bubble) > 1e-9 {
					t.Errorf("%s, %d stages, %d microbatches: %.4f of the step idle, formula %.4f", c.name, stages, m, got, c.bubble)
				}
				slow := Ends(s, stages, m, func(stage, _ int) Times {
					if stage == stages/2 {
						return Times{Forward: 5 * unit.Forward, BackwardInput: 5 * unit.BackwardInput, BackwardWeight: 5 * unit.BackwardWeight}
					}
					return unit
				})
				if slow[stages/2] < 5*busy {
					t.Errorf("%s, %d stages, %d microbatches: a stage with %g to do ends at %g", c.name, stages, m, 5*busy, slow[stages/2])
				}
			}
		}
	}
}

// By hand: two stages, one microbatch; each result takes 10 to arrive.
func TestEndsByHand(t *testing.T) {
	s, _ := Named("1f1b", 1)
	ends := Ends(s, 2, 1, func(stage, _ int) Times {
		return Times{Forward: float64(1 + stage), BackwardInput: 3, BackwardWeight: 1, Transfer: 10}
	})
	if want := []float64{1 + 10 + 2 + 4 + 10 + 4, 1 + 10 + 2 + 4}; !slices.Equal(ends, want) {
		t.Errorf("ends at %v, want %v", ends, want)
	}
}
