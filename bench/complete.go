package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"ofpeak/bench/rig"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/results/chips"
	"ofpeak/results/compare"
)

// flagValues are what the shell offers behind a flag, by the flag's name, on every command that has it, or by the command's name and the flag's.
func flagValues() map[string][]string {
	var suites, precisions, retries []string
	for _, s := range workload.Suites {
		suites = append(suites, s.Name)
	}
	for _, p := range kernels.Precisions {
		precisions = append(precisions, p.Name)
	}
	for _, s := range retryable {
		retries = append(retries, string(s))
	}
	return map[string][]string{
		"suite": suites, "technique": workload.Techniques, "model": workload.PresetNames(), "precision": precisions, "pass": workload.Passes,
		"engine": workload.Engines, "layout": {"dense", "2:4", "block:16@0.5", "block:32@0.5"}, "schedule": workload.Schedules, "overlap": workload.Overlaps,
		"cut": workload.Cuts, "experts": {"none", "8x1@1.25", "8x2@1.25"}, "recompute": workload.Recomputes, "graphs": rig.Graphs,
		"zero": {"0", "1", "2", "3"}, "memory": {"256MiB", "1GiB"}, "largest": workload.Searched, "isa": isa.Names(), "device": devices, "chip": chips.Builtin().Names(),
		"retry": retries, "format": {"text", "csv", "md"}, "compare format": {"text", "csv", "md", "json"},
		"export format": {"benchfmt", "jsonl", "parquet", "openmetrics"}, "compare row": compare.Keys(), "compare col": compare.Keys(),
	}
}

// lists are the flags whose value may be several, joined by commas, though their type does not say so.
var lists = []string{"model", "row", "col"}

// completeFlags offers values for flags, and files for the commands that read them.
func completeFlags(root *cobra.Command) {
	values := flagValues()
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			known, ok := values[cmd.Name()+" "+f.Name]
			if !ok {
				known, ok = values[f.Name]
			}
			if ok {
				list := strings.HasSuffix(f.Value.Type(), "Slice") || slices.Contains(lists, f.Name)
				_ = cmd.RegisterFlagCompletionFunc(f.Name, completion(known, list)) // fails only for a flag that is not there
			}
		})
		cmd.ValidArgsFunction = cobra.NoFileCompletions
		for _, extension := range []string{"csv", "json"} {
			if strings.Contains(cmd.Use, "."+extension) {
				cmd.ValidArgsFunction = cobra.FixedCompletions([]string{extension}, cobra.ShellCompDirectiveFilterFileExt)
			}
		}
	}
}

// completion offers the values, in a list each once.
func completion(values []string, list bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		comma := strings.LastIndexByte(toComplete, ',')
		if !list || comma < 0 {
			return values, cobra.ShellCompDirectiveNoFileComp
		}
		given := strings.Split(toComplete[:comma], ",")
		var offered []string
		for _, v := range values {
			if !slices.Contains(given, v) {
				offered = append(offered, toComplete[:comma+1]+v)
			}
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
}
