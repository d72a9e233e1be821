package trainer

import (
	"fmt"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
)

// Modelled memory is what ranks take, to the byte.
func TestMemoryIsWhatRanksTake(t *testing.T) {
	t.Parallel()
	mixed, half, again, words, layout, pruned := regression, regression, regression, language, regression, regression
	mixed.Experts = block.Experts{Count: 4, TopK: 2, Parts: 4, Capacity: 1.5}
	half.Precision, _ = kernels.PrecisionNamed("bf16")
	again.Recompute = true
	words.Recompute = true
	layout.Layout.Format = kernels.Sparse24
	pruned.Layout, pruned.Experts = kernels.Layout{Format: kernels.BlockSparse, Block: 8, Keep: 0.5}, block.Experts{Count: 4, TopK: 1, Parts: 4, Capacity: 1}
	infer := language
	infer.Forward = true
	for name, model := range map[string]block.Config{"regression": regression, "language": language, "experts": mixed, "bf16": half, "recompute": again, "words": words, "2:4": layout, "pruned experts": pruned, "inference": infer} {
		model.L, model.T, model.Batch = 6, 4, 8
		for _, s := range []parallel.Strategy{
			{}, {DP: 2}, {TP: 2}, {TP: 2, Aside: true}, {TP: 2, Sequence: true, Microbatches: 2}, {TP: 2, Sequence: true, Aside: true}, {TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 2}, {DP: 2, ZeRO: 1, Microbatches: 2}, {DP: 2, ZeRO: 2}, {DP: 2, ZeRO: 3, BucketBytes: 500},
			{PP: 2, Microbatches: 4}, {PP: 3, Microbatches: 8}, {PP: 2, Microbatches: 4, Schedule: "gpipe"}, {PP: 3, Microbatches: 8, Schedule: "zb-h1"}, {EP: 2, PP: 2, Microbatches: 2, Schedule: "zb-h1"},
			{PP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2}, {DP: 2, PP: 2, ZeRO: 3, Microbatches: 2}, {TP: 2, PP: 2, Sequence: true, Microbatches: 2},
			{PP: 7}, {EP: 2, ZeRO: 1}, {EP: 2, ZeRO: 2, BucketBytes: 500}, {EP: 2, ZeRO: 3, Microbatches: 2}, {DP: 2, EP: 2, ZeRO: 3}, {EP: 2, CP: 2, PP: 2, TP: 2, ZeRO: 2, Microbatches: 2}, {EP: 2, Microbatches: 2}, {EP: 2, TP: 2}, {PP: 8}, {CP: 2}, {CP: 2, TP: 2, PP: 2, Sequence: true, Microbatches: 2}, {CP: 2, PP: 8, ZeRO: 2},
		} {
			want, err := Memory(Config{Model: model}, s)
			if err != nil { // of splits that do not go with the model
				continue
			}
			err = launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
				if model.Forward {
					tr.ForwardPass()
				} else {
					tr.TrainStep()
				}
				if _, err := tr.Sync(); err != nil {
					return err
				}
				if peak := r.Device.Memory().Peak; peak != want[r.Coord.PP] {
					return fmt.Errorf("rank %d takes %d bytes, modelled %d", r.ID, peak, want[r.Coord.PP])
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s %v: %v", name, s, err)
			}
		}
	}
}
