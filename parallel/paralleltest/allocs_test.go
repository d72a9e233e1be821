//go:build !race

package paralleltest_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

// A warm training step on the CPU device allocates nothing, whatever the strategy. The race detector makes pools forget, so it would count those.
func TestCPUStepAllocatesNothing(t *testing.T) {
	fp32, _ := kernels.PrecisionNamed("fp32")
	model := block.Config{C: 32, NH: 4, T: 16, L: 3, V: 61, Batch: 8, Precision: fp32}
	for _, s := range []parallel.Strategy{{}, {DP: 2, BucketBytes: 10000}, {DP: 2, ZeRO: 1}, {DP: 2, ZeRO: 3, Microbatches: 2}, {TP: 2}, {TP: 2, Aside: true}, {TP: 2, Sequence: true, Aside: true}, {PP: 2, Microbatches: 4}, {DP: 2, TP: 2, PP: 2, Microbatches: 2},
		{EP: 2}, {EP: 2, PP: 2, Microbatches: 2, Schedule: "zb-h1"}} {
		model := model
		if s.EP > 1 {
			model.Experts, model.Layout.Format = block.Experts{Count: 4, TopK: 1, Capacity: 1}, kernels.Sparse24
		}
		l := parallel.InProcess{Open: openCPU, Connect: local.New}
		err := l.Run(t.Context(), s, func(_ context.Context, r *parallel.Rank) error {
			tr, err := trainer.New(r, trainer.Config{Model: model, Hyper: block.DefaultHyper})
			if err != nil {
				return err
			}
			if err := setTokens(tr); err != nil {
				return err
			}
			const windows, steps = 6, 15
			fewest := math.MaxInt
			for range windows { // pools grow for as long as some rank falls behind further than before
				n, err := allocations(r, tr, steps)
				if err != nil {
					return err
				}
				fewest = min(fewest, n)
			}
			if fewest >= steps*r.World { // ranks that wait cost the runtime some of its own
				return fmt.Errorf("%d allocations in %d steps of %d ranks", fewest, steps, r.World)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// allocations counts those of the whole process in so many steps of all ranks.
func allocations(r *parallel.Rank, tr *trainer.Trainer, steps int) (int, error) {
	var before, after runtime.MemStats
	r.All.Barrier(r.Compute)
	if err := r.Compute.Sync(); err != nil {
		return 0, err
	}
	runtime.ReadMemStats(&before)
	for range steps {
		tr.TrainStep()
		if _, err := tr.Sync(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return int(after.Mallocs - before.Mallocs), nil
}
