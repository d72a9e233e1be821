package paralleltest

import (
	"slices"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
)

// Cases is every strategy on the regression and the language model, dense and sparse. The order is always the same: ranks that are processes each make the list.
func Cases() []Case {
	var cs []Case
	add := func(name string, m block.Config, ss ...parallel.Strategy) {
		for _, s := range ss {
			cs = append(cs, Case{name, m, s})
		}
	}
	mse := block.Config{C: 32, NH: 4, T: 5, L: 3, Batch: 24, Seed: 1}
	lm := mse
	lm.V, lm.L = 13, 2
	all := slices.Concat(data(), zero(), tensors(), pipelines(), products())
	add("mse", mse, all...)
	add("lm", lm, all...)

	deep := mse
	deep.L = 6
	deepLM := deep
	deepLM.V, deepLM.L = 13, 7
	thirds, thirdsLM := mse, lm // for three tensor-parallel ranks
	thirds.C, thirds.NH, thirdsLM.C, thirdsLM.NH = 24, 6, 24, 6
	add("thirds mse", thirds, thirdParts()...)
	add("thirds lm", thirdsLM, thirdParts()...)

	add("deep mse", deep, interleaved()...)
	add("deep lm", deepLM, interleaved()...)

	again := lm
	again.Recompute = true
	add("recompute", again, parallel.Strategy{Microbatches: 2}, parallel.Strategy{DP: 2, ZeRO: 3}, parallel.Strategy{PP: 3, Microbatches: 4},
		parallel.Strategy{DP: 2, TP: 2, PP: 2, ZeRO: 2, Microbatches: 3}, parallel.Strategy{TP: 2, Sequence: true, Microbatches: 2},
		parallel.Strategy{TP: 2, Aside: true}, parallel.Strategy{TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 3})

	switched, paired := lm, mse
	switched.Experts = block.Experts{Count: 4, TopK: 1, Capacity: 1}
	paired.Experts = block.Experts{Count: 6, TopK: 2, Capacity: 1.25}
	add("switch", switched, experts()...)
	add("top-2", paired, experts()...)

	long := block.Config{C: 32, NH: 4, T: 24, L: 3, Batch: 12, Seed: 1}
	longLM := long
	longLM.V, longLM.L = 13, 2
	add("long mse", long, contexts()...)
	add("long lm", longLM, contexts()...)
	again, switched = longLM, longLM
	again.Recompute = true
	add("long recompute", again, parallel.Strategy{CP: 2, DP: 2, ZeRO: 3}, parallel.Strategy{CP: 3, PP: 2, Microbatches: 3})
	switched.Experts = block.Experts{Count: 4, TopK: 2, Parts: 4, Capacity: 1}
	add("long experts", switched, parallel.Strategy{CP: 2}, parallel.Strategy{CP: 2, EP: 2}, parallel.Strategy{CP: 2, TP: 2, Sequence: true, Aside: true},
		parallel.Strategy{DP: 2, TP: 2, PP: 2, EP: 2, CP: 2, Microbatches: 3}, parallel.Strategy{CP: 2, EP: 2, ZeRO: 2, BucketBytes: 5000}, parallel.Strategy{CP: 2, EP: 2, TP: 2, ZeRO: 3, Sequence: true},
		parallel.Strategy{DP: 2, TP: 2, PP: 2, EP: 2, CP: 2, Microbatches: 3, ZeRO: 3},
		parallel.Strategy{PP: 2, EP: 2, CP: 2, Microbatches: 3, Schedule: "zb-h1"})
	switched.Recompute = true
	add("long recomputed experts", switched, parallel.Strategy{CP: 2, EP: 2, ZeRO: 3, Microbatches: 2})

	sparse, blocks := lm, mse
	sparse.Layout = kernels.Layout{Format: kernels.Sparse24}
	blocks.Layout = kernels.Layout{Format: kernels.BlockSparse, Block: 8, Keep: 0.5}
	add("2:4", sparse, append(products(), parallel.Strategy{ZeRO: 3, DP: 3}, parallel.Strategy{DP: 2}, parallel.Strategy{TP: 4}, parallel.Strategy{PP: 3, Microbatches: 4})...)
	add("block", blocks, parallel.Strategy{DP: 3}, parallel.Strategy{PP: 2, Microbatches: 4}, parallel.Strategy{DP: 2, PP: 2, Microbatches: 2})
	sparse.Experts, blocks.Experts = block.Experts{Count: 4, TopK: 1, Capacity: 1}, block.Experts{Count: 6, TopK: 2, Capacity: 1.25}
	add("2:4 experts", sparse, parallel.Strategy{Microbatches: 4}, parallel.Strategy{EP: 2}, parallel.Strategy{TP: 2}, parallel.Strategy{DP: 3, ZeRO: 3}, parallel.Strategy{DP: 2, EP: 2, ZeRO: 3}, parallel.Strategy{DP: 2, EP: 2, TP: 2, Sequence: true, Aside: true},
		parallel.Strategy{EP: 2, TP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1"})
	add("block experts", blocks, parallel.Strategy{EP: 2}, parallel.Strategy{EP: 2, ZeRO: 2, Microbatches: 3}, parallel.Strategy{EP: 3, PP: 2, Microbatches: 2, Schedule: "zb-h1"}, parallel.Strategy{DP: 2, ZeRO: 2, Microbatches: 3})
	sparse.T, sparse.Batch, sparse.Experts.Parts = 24, 12, 4
	add("long 2:4 experts", sparse, parallel.Strategy{CP: 2, EP: 2, TP: 2}, parallel.Strategy{CP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1"})
	return cs
}

// interleaved needs a block for each chunk of each stage.
func interleaved() []parallel.Strategy {
	return []parallel.Strategy{
		{PP: 3, Schedule: "interleaved", Chunks: 2, Microbatches: 6}, {PP: 2, Schedule: "interleaved", Chunks: 3, Microbatches: 8},
		{PP: 3, Schedule: "interleaved", Chunks: 2, Microbatches: 4, EqualStages: true}, {DP: 2, PP: 2, Schedule: "interleaved", Chunks: 3, Microbatches: 6, ZeRO: 1},
	}
}

func data() []parallel.Strategy {
	return []parallel.Strategy{
		{Microbatches: 4},
		{DP: 2}, {DP: 3}, {DP: 2, Microbatches: 4}, {DP: 2, Naive: true}, {DP: 3, Naive: true, Microbatches: 2},
		{DP: 2, BucketBytes: 1}, {DP: 2, BucketBytes: 12345}, {DP: 3, BucketBytes: 100001, Microbatches: 2},
	}
}

func zero() []parallel.Strategy {
	var ss []parallel.Strategy
	for level := 1; level <= 3; level++ {
		ss = append(ss,
			parallel.Strategy{ZeRO: level, DP: 2}, parallel.Strategy{ZeRO: level, DP: 3, BucketBytes: 5000},
			parallel.Strategy{ZeRO: level, DP: 2, Microbatches: 4, BucketBytes: 1}, parallel.Strategy{ZeRO: level, DP: 2, TP: 2, PP: 2, Microbatches: 3},
		)
	}
	return ss
}

func tensors() []parallel.Strategy {
	return []parallel.Strategy{
		{TP: 2}, {TP: 4}, {TP: 2, Microbatches: 2},
		{TP: 2, Sequence: true}, {TP: 4, Sequence: true}, {TP: 2, Sequence: true, Microbatches: 3},
		{TP: 2, Aside: true}, {TP: 4, Aside: true, Microbatches: 2}, {TP: 2, Sequence: true, Aside: true}, {TP: 4, Sequence: true, Aside: true, Microbatches: 3},
		{TP: 2, Aside: true, Microbatches: 8}, {TP: 2, Sequence: true, Aside: true, Microbatches: 4}, // an odd number of tokens, which stays whole
	}
}

func thirdParts() []parallel.Strategy {
	return []parallel.Strategy{
		{TP: 3, Aside: true, Microbatches: 2}, {TP: 3, Sequence: true, Aside: true}, {TP: 3, PP: 2, Sequence: true, Aside: true, Microbatches: 4}, {DP: 2, TP: 3, Sequence: true, Aside: true, ZeRO: 2, Microbatches: 2},
	}
}

func pipelines() []parallel.Strategy {
	var ss []parallel.Strategy
	for _, stages := range []int{2, 3} {
		for _, schedule := range []string{"gpipe", "1f1b", "zb-h1"} {
			for _, m := range []int{1, 2, 4, 8} {
				ss = append(ss, parallel.Strategy{PP: stages, Schedule: schedule, Microbatches: m})
			}
		}
	}
	for _, m := range []int{1, 2, 3, 4, 6, 8} {
		ss = append(ss, parallel.Strategy{PP: 2, Schedule: "interleaved", Chunks: 2, Microbatches: m})
	}
	return append(ss, parallel.Strategy{PP: 2, Schedule: "interleaved", Microbatches: 4}, parallel.Strategy{PP: 4, Microbatches: 6}, parallel.Strategy{PP: 2, Microbatches: 3, EqualStages: true},
		parallel.Strategy{PP: 4, Microbatches: 6, Schedule: "zb-h1"}, parallel.Strategy{Microbatches: 4, Schedule: "zb-h1"})
}

func contexts() []parallel.Strategy {
	return []parallel.Strategy{
		{CP: 2}, {CP: 3}, {CP: 4}, {CP: 2, Microbatches: 3}, {CP: 3, Naive: true},
		{DP: 2, CP: 2, BucketBytes: 5000}, {CP: 4, ZeRO: 1}, {DP: 2, CP: 2, ZeRO: 2, Microbatches: 2}, {DP: 3, CP: 2, ZeRO: 3},
		{TP: 2, CP: 2}, {TP: 2, CP: 3, Sequence: true, Microbatches: 2}, {PP: 2, CP: 2, Microbatches: 3}, {PP: 2, CP: 3, Microbatches: 4, Schedule: "gpipe"},
		{PP: 2, CP: 2, Microbatches: 3, Schedule: "zb-h1"}, {PP: 2, CP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2},
		{TP: 2, PP: 2, CP: 2, Microbatches: 3}, {DP: 2, TP: 2, PP: 2, CP: 2, Microbatches: 3, Sequence: true, ZeRO: 1},
		{TP: 2, CP: 2, Aside: true, Microbatches: 2}, {TP: 2, PP: 2, CP: 2, Microbatches: 3, Sequence: true, Aside: true, Schedule: "zb-h1"},
	}
}

func experts() []parallel.Strategy {
	return append(zeroExperts(), []parallel.Strategy{
		{Microbatches: 4}, {DP: 2}, {TP: 2}, {TP: 2, Sequence: true, Microbatches: 2}, {PP: 2, Microbatches: 4}, {DP: 2, ZeRO: 3, Microbatches: 2},
		{PP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2},
		{EP: 2}, {EP: 2, Naive: true}, {EP: 2, Microbatches: 3, BucketBytes: 999}, {DP: 2, EP: 2, BucketBytes: 5000}, {EP: 2, TP: 2, Sequence: true}, {EP: 2, TP: 2, Sequence: true, Aside: true}, {TP: 2, Aside: true, Microbatches: 2},
		{EP: 2, PP: 2, Microbatches: 3}, {DP: 2, EP: 2, TP: 2, PP: 2, Microbatches: 3},
		{PP: 2, Microbatches: 4, Schedule: "zb-h1"}, {EP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1", BucketBytes: 999}, {DP: 2, PP: 2, Microbatches: 4, Schedule: "zb-h1", ZeRO: 1},
		{TP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1"}, {EP: 2, TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 3, Schedule: "zb-h1"},
	}...)
}

// zeroExperts spread what is no expert over more ranks than experts, which a rank may have for itself.
func zeroExperts() []parallel.Strategy {
	var ss []parallel.Strategy
	for level := 1; level <= 3; level++ {
		ss = append(ss,
			parallel.Strategy{ZeRO: level, EP: 2}, parallel.Strategy{ZeRO: level, EP: 2, Microbatches: 3, BucketBytes: 999}, parallel.Strategy{ZeRO: level, DP: 2, EP: 2, BucketBytes: 5000},
			parallel.Strategy{ZeRO: level, DP: 3, EP: 2, Microbatches: 2, BucketBytes: 1}, parallel.Strategy{ZeRO: level, DP: 2, EP: 2, TP: 2, PP: 2, Microbatches: 3, Sequence: true},
		)
	}
	return append(ss, parallel.Strategy{ZeRO: 3, EP: 2, PP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2}, parallel.Strategy{ZeRO: 2, EP: 2, TP: 2, Sequence: true, Aside: true, Microbatches: 2},
		parallel.Strategy{ZeRO: 1, DP: 2, EP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1"})
}

func products() []parallel.Strategy {
	return []parallel.Strategy{
		{DP: 2, TP: 2}, {DP: 3, TP: 2, BucketBytes: 4097},
		{DP: 2, PP: 2, Microbatches: 4}, {DP: 2, PP: 3, Microbatches: 2, Schedule: "gpipe", BucketBytes: 999},
		{TP: 2, PP: 2, Microbatches: 4}, {TP: 2, PP: 2, Microbatches: 2, Schedule: "gpipe"},
		{DP: 2, PP: 2, Microbatches: 4, Schedule: "zb-h1", BucketBytes: 999}, {DP: 2, TP: 2, PP: 2, Microbatches: 3, Schedule: "zb-h1", ZeRO: 1},
		{DP: 2, TP: 2, Sequence: true}, {DP: 3, TP: 2, Sequence: true, ZeRO: 1, BucketBytes: 999}, {DP: 2, TP: 2, Sequence: true, ZeRO: 2, Microbatches: 3},
		{DP: 2, TP: 4, Sequence: true, ZeRO: 3}, {TP: 2, PP: 2, Sequence: true, Microbatches: 4}, {TP: 2, PP: 3, Sequence: true, Microbatches: 3, Schedule: "zb-h1"}, {DP: 2, TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 3, Schedule: "zb-h1", ZeRO: 1},
		{DP: 2, TP: 2, PP: 2, Aside: true, Microbatches: 3, ZeRO: 3, Sequence: true},
		{DP: 2, PP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2, BucketBytes: 999}, {DP: 2, PP: 2, Microbatches: 3, Schedule: "interleaved", Chunks: 2, ZeRO: 3},
		{DP: 2, TP: 2, PP: 2, Microbatches: 3, Schedule: "interleaved", Chunks: 2, ZeRO: 2, Sequence: true},
		{DP: 2, TP: 2, PP: 2, Microbatches: 3}, {DP: 2, TP: 2, PP: 3, Microbatches: 4, Naive: true},
	}
}
