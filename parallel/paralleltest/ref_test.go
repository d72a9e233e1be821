package paralleltest_test

import (
	"fmt"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/paralleltest"
)

func openRef(int, int) (kernels.Device, error) { return ref.New(), nil }

func TestReference(t *testing.T) {
	t.Parallel()
	p, _ := kernels.PrecisionNamed("fp64")
	paralleltest.Run(t, paralleltest.Options{Open: openRef, Precision: p, Tolerance: 1e-10})
}

// On streams that run behind the host, every wait that the order of things needs must be there.
func TestAsynchronousStreams(t *testing.T) {
	t.Parallel()
	p, _ := kernels.PrecisionNamed("fp64")
	var some []paralleltest.Case
	for _, v := range []int{0, 13} {
		m := block.Config{C: 16, NH: 2, T: 4, L: 3, V: v, Batch: 24}
		for _, s := range []parallel.Strategy{
			{DP: 2, BucketBytes: 1}, {DP: 3, Naive: true},
			{DP: 2, ZeRO: 1, BucketBytes: 1}, {DP: 2, ZeRO: 2, Microbatches: 4}, {DP: 3, ZeRO: 3, Microbatches: 2}, {DP: 2, PP: 2, ZeRO: 3, Microbatches: 3},
			{PP: 2, Microbatches: 8}, {PP: 3, Microbatches: 6, Schedule: "gpipe"}, {PP: 4, Microbatches: 6}, {PP: 3, Microbatches: 8, Schedule: "zb-h1"}, {DP: 2, PP: 2, Microbatches: 4, Schedule: "zb-h1", ZeRO: 1},
			{DP: 2, TP: 2, PP: 2, Microbatches: 3}, {DP: 2, TP: 2, PP: 2, Sequence: true, Aside: true, ZeRO: 3, Microbatches: 3}, {TP: 2, Aside: true}, {TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 4, Schedule: "zb-h1"},
			{PP: 2, Microbatches: 8, Schedule: "interleaved", Chunks: 2}, {DP: 2, PP: 2, Microbatches: 6, Schedule: "interleaved", Chunks: 2, ZeRO: 3},
		} {
			some = append(some, paralleltest.Case{Name: fmt.Sprintf("V%d", v), Model: m, Strategy: s})
		}
		mixed := m
		mixed.Experts = switched
		for _, s := range []parallel.Strategy{{DP: 2, EP: 2, ZeRO: 1, BucketBytes: 1}, {EP: 2, ZeRO: 2, Microbatches: 3}, {EP: 2, ZeRO: 3, Microbatches: 3}, {DP: 2, EP: 2, TP: 2, PP: 2, ZeRO: 3, Sequence: true, Microbatches: 3}} {
			some = append(some, paralleltest.Case{Name: fmt.Sprintf("V%d experts", v), Model: mixed, Strategy: s})
		}
		m.T = 8
		for _, s := range []parallel.Strategy{{CP: 2}, {CP: 4, Microbatches: 2}, {DP: 2, PP: 2, CP: 2, Microbatches: 3, Schedule: "zb-h1"}, {TP: 2, CP: 2, Sequence: true, ZeRO: 3}} {
			some = append(some, paralleltest.Case{Name: fmt.Sprintf("V%d", v), Model: m, Strategy: s})
		}
		m.Experts = block.Experts{Count: 4, TopK: 2, Capacity: 1}
		for _, s := range []parallel.Strategy{{PP: 3, Microbatches: 8, Schedule: "zb-h1"}, {DP: 2, EP: 2, TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 3, Schedule: "zb-h1"}, {EP: 2, TP: 2, Aside: true}} {
			some = append(some, paralleltest.Case{Name: fmt.Sprintf("V%d", v), Model: m, Strategy: s})
		}
	}
	paralleltest.Run(t, paralleltest.Options{Open: openAsync, Precision: p, Tolerance: 1e-10, Cases: some})
}
