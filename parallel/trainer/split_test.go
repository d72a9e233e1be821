package trainer

import (
	"fmt"
	"slices"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
)

// A backward pass in two parts leaves the bits of a whole one, in the gradients and in the weights of three steps: of dense blocks, and of experts with dense and with sparse weights.
func TestBackwardInTwoPartsLeavesTheSameBits(t *testing.T) {
	mixed := language
	mixed.Experts = block.Experts{Count: 4, TopK: 2, Capacity: 1}
	pruned := mixed
	pruned.Layout.Format = kernels.Sparse24
	for name, model := range map[string]block.Config{"dense": language, "experts": mixed, "2:4 experts": pruned} {
		if model.Experts.Count > 0 {
			model.Batch = 8
		}
		for _, s := range []parallel.Strategy{{Microbatches: 4}, {PP: 2, Microbatches: 4}, {EP: 2, Microbatches: 2}} {
			if s.EP > 1 && model.Experts.Count == 0 {
				continue
			}
			whole, split := after(t, model, s, "1f1b"), after(t, model, s, "zb-h1")
			for rank, bits := range whole {
				if !slices.Equal(bits, split[rank]) {
					t.Errorf("%s, %v: rank %d has other bits", name, s, rank)
				}
			}
		}
	}
}

// after are gradients and weights of each rank when it has taken three steps.
func after(t *testing.T, model block.Config, s parallel.Strategy, schedule string) [][]float64 {
	t.Helper()
	s.Schedule = schedule
	ranks := make([][]float64, s.Normal().Mesh().World())
	err := launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
		for range 3 {
			tr.TrainStep()
			if _, err := tr.Sync(); err != nil {
				return fmt.Errorf("%s: %w", schedule, err)
			}
		}
		ranks[r.ID] = slices.Concat(read(r.Compute, tr.Stage.Grads), read(r.Compute, tr.Stage.Weights))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ranks
}
