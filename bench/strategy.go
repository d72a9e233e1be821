package main

import (
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/bench/workload"
)

// strategyFlags are the flags of ofpeak run that say how training is split, beyond the number of ranks.
type strategyFlags struct {
	contexts  []int
	sequences []bool
	overlaps  []string
	schedules []string
	chunks    []int
	cuts      []string
	experts   []string
}

func (f *strategyFlags) register(cmd *cobra.Command) {
	p := cmd.Flags()
	p.IntSliceVar(&f.contexts, "cp", nil, "of the ranks, those that split each sequence (context parallelism); the technique's axes share the rest")
	p.BoolSliceVar(&f.sequences, "sequence-parallel", nil, "split tokens over tensor-parallel ranks where a block has no product: true, false")
	p.Lookup("sequence-parallel").NoOptDefVal = "true"
	p.StringSliceVar(&f.overlaps, "overlap", nil, "whether ranks that share layers communicate while they compute: "+strings.Join(workload.Overlaps, ", "))
	p.Lookup("sequence-parallel").DefValue = "" // pflag would print an empty list
	p.StringSliceVar(&f.schedules, "schedule", nil, "pipeline schedules: "+strings.Join(workload.Schedules, ", "))
	p.IntSliceVar(&f.chunks, "chunks", nil, "stages that each rank of an interleaved pipeline holds")
	p.StringSliceVar(&f.cuts, "cut", nil, "what a pipeline's stages are cut by: "+strings.Join(workload.Cuts, ", "))
	p.StringSliceVar(&f.experts, "experts", nil, "mixture of experts in each block: none, or EXPERTSxCHOICES@CAPACITY as in 8x1@1.25, and /GROUPS of a sequence that share the capacity")
}

// override adds the flags' lists to those that replace a suite's.
func (f *strategyFlags) override(s *workload.Settings) error {
	s.Contexts, s.Sequences, s.Overlaps, s.Schedules, s.Chunks, s.Cuts = f.contexts, f.sequences, f.overlaps, f.schedules, f.chunks, f.cuts
	for _, text := range f.experts {
		e, err := workload.ParseExperts(text)
		if err != nil {
			return err
		}
		s.Experts = append(s.Experts, e)
	}
	return nil
}
