package workload

import (
	"fmt"
	"slices"
	"strings"

	"ofpeak/kernels"
)

// Settings are lists of options; their product is a group of cases. An empty list stands for Default's value.
type Settings struct {
	Models       []Model
	Engines      []string
	Passes       []string
	Precisions   []string
	Layouts      []kernels.Layout
	Axes         []string // mesh axes that the ranks are split over: dp, tp, pp, ep, cp, or a product as in dp*tp; "": one rank
	Ranks        []int    // per entry of Axes
	Contexts     []int    // of the ranks, those that split each sequence, whatever the axes; 0: as the axes say
	Sequences    []bool   // where tp is above 1
	Overlaps     []string // where dp, tp, ep or cp is above 1
	Schedules    []string // where pp is above 1
	Experts      []Experts
	Cuts         []string // where pp is above 1
	Chunks       []int    // where the schedule is interleaved
	Microbatches []int    // 0: one, or in a pipeline as many as Expand chooses
	BucketBytes  []int
	ZeRO         []int // where dp, ep or cp is above 1
	Recomputes   []string
	Memory       []Bytes
	Largest      []string // not these cases, but searches for the largest L or B of them that their memory holds; a limit of 0 is then one that suits the model
	Threads      []int
	ISAs         []string
}

// Suite is a named run: groups of settings in the order in which they are measured.
type Suite struct {
	Name, About string
	Groups      []Settings
	OnGPU       []Settings // instead, on GPUs; nil: the same
}

var (
	twoFour  = kernels.Layout{Format: kernels.Sparse24}
	products = []string{"dp*tp", "dp*pp", "tp*pp"}
)

func blocks(edge int, keep float64) kernels.Layout {
	return kernels.Layout{Format: kernels.BlockSparse, Block: edge, Keep: keep}
}

func models(names ...string) []Model {
	var ms []Model
	for _, name := range names {
		m, err := Preset(name)
		if err != nil {
			panic("workload: a suite names no preset")
		}
		ms = append(ms, m)
	}
	return ms
}

// breadth is every technique on some models, with block-sparse weights of an edge that suits their widths.
func breadth(on []Model, edge int) []Settings {
	half, quarter := blocks(edge, 0.5), blocks(edge, 0.25)
	return []Settings{
		{Models: on},
		{Models: on, Engines: []string{Gorgonia, GorgoniaBLAS}},
		{Models: on, Precisions: []string{"bf16", "fp16", "fp8"}},
		{Models: on, Passes: []string{Forward}, Precisions: []string{"fp32", "int8"}},
		{Models: on, Axes: []string{"dp", "tp"}, Ranks: []int{2}},
		{Models: on, Axes: []string{"pp"}, Ranks: []int{2}, Schedules: []string{GPipe, F1B1}},
		{Models: on, Layouts: []kernels.Layout{twoFour, half, quarter}},
		{Models: on, Precisions: []string{"bf16"}, Axes: []string{"dp"}, Ranks: []int{2}},
		{Models: on, Precisions: []string{"bf16"}, Layouts: []kernels.Layout{twoFour}},
		{Models: on, Axes: products, Ranks: []int{4}},
	}
}

// further are forms of the techniques that cost less memory or time than those of breadth.
func further(on []Model) []Settings {
	return []Settings{
		{Models: on, Axes: []string{"dp"}, Ranks: []int{2}, ZeRO: []int{1, 2, 3}},
		{Models: on, Recomputes: []string{Blocks}},
		{Models: on, Axes: []string{"pp"}, Ranks: []int{2}, Schedules: []string{ZBH1}},
	}
}

// deeper are models with so many layers.
func deeper(ms []Model, layers int) []Model {
	var out []Model
	for _, m := range ms {
		m.L = layers
		out = append(out, m.named())
	}
	return out
}

// headed are models with so many layers and a vocabulary, whose head weighs as much as blocks do.
func headed(ms []Model, layers, vocabulary int) []Model {
	out := deeper(ms, layers)
	for i := range out {
		out[i].V = vocabulary
		out[i] = out[i].named()
	}
	return out
}

// strategies are the ways to split training over ranks, side by side on one model.
func strategies(on []Model) []Settings {
	return []Settings{
		{Models: on, Axes: []string{"dp", "tp"}, Ranks: []int{2}, Overlaps: []string{On, Off}},
		{Models: on, Axes: []string{"tp"}, Ranks: []int{2}, Sequences: []bool{true}, Overlaps: []string{On, Off}},
		{Models: deeper(on, 8), Axes: []string{"pp"}, Ranks: []int{2}, Schedules: Schedules, Chunks: []int{2}},
		{Models: headed(on, 4, 2048), Axes: []string{"pp"}, Ranks: []int{2}, Schedules: []string{F1B1}, Cuts: Cuts},
		{Models: on, Experts: []Experts{{8, 1, 1.25, 0}, {8, 2, 1.25, 0}}},
		{Models: on, Experts: []Experts{{8, 1, 1.25, 0}}, Axes: []string{"dp", "tp", "ep"}, Ranks: []int{2}},
	}
}

// joined are models whose batch is one long sequence, which data-parallel ranks cannot share.
func joined(ms []Model) []Model {
	var out []Model
	for _, m := range ms {
		m.T, m.B = m.T*m.B, 1
		out = append(out, m.named())
	}
	return out
}

// contexts are models whose sequences are split.
func contexts(on []Model) []Settings {
	return []Settings{
		{Models: on, Axes: []string{"cp"}, Ranks: []int{2}},
		{Models: on, Axes: []string{"dp*cp", "tp*cp"}, Ranks: []int{4}},
	}
}

// limits are searches for the largest model and the largest batch that each rank's memory holds: what strategies, and 16 bits, make room for.
func limits(on []Model) []Settings {
	return []Settings{
		{Models: on, Precisions: []string{"fp32", "bf16"}, Largest: []string{Depth}},
		{Models: on, Axes: []string{"dp"}, Ranks: []int{2}, ZeRO: []int{3}, Largest: []string{Depth}},
		{Models: on, Axes: []string{"tp", "pp"}, Ranks: []int{2}, Largest: []string{Depth}},
		{Models: on, Precisions: []string{"fp32", "bf16"}, Largest: []string{Batch}},
		{Models: on, Axes: []string{"dp"}, Ranks: []int{2}, Largest: []string{Batch}},
	}
}

// Suites lists the suites by length: smoke proves in seconds that everything runs, quick measures in minutes, parallel
// holds the strategies side by side, claims finds how large a model and a batch their memory holds, full takes every preset, and as
// long as the widest one needs.
var Suites = []Suite{
	{"smoke", "every technique on the tiny model, under 30 s", breadth(models("tiny"), 16), nil},
	{"quick", "the main techniques on the gpt2 model, every technique on the small one, under 4 minutes; on GPUs on 1b instead of small", slices.Concat([]Settings{
		{Models: models("gpt2"), Precisions: []string{"fp32", "bf16", "fp16"}},
		{Models: models("gpt2"), Passes: []string{Forward}, Precisions: []string{"fp32", "int8"}},
		{Models: models("gpt2"), Axes: []string{"dp", "tp"}, Ranks: []int{2}},
		{Models: models("gpt2"), Layouts: []kernels.Layout{twoFour, blocks(32, 0.5)}},
	}, breadth(models("small"), 32), further(models("small"))),
		slices.Concat([]Settings{
			{Models: models("gpt2"), Precisions: []string{"fp32", "tf32", "bf16", "fp16", "fp8"}},
			{Models: models("gpt2"), Passes: []string{Forward}, Precisions: []string{"fp32", "bf16", "int8"}},
		}, breadth(models("1b"), 32), further(models("1b")))},
	{"parallel", "every way to split the small model over ranks, a few minutes", slices.Concat(strategies(models("small")), contexts(models("small")), contexts(joined(models("small")))[:1]),
		slices.Concat(strategies(models("1b")), contexts(models("1b")), contexts(joined(models("1b")))[:1])},
	{"claims", "the largest model and batch that a rank's memory holds, under a minute", limits(models("small")), limits(models("1b"))},
	{"full", "every technique on every preset that fits this machine", slices.Concat(breadth(presets, 16), further(presets), contexts(presets), limits(models("small"))),
		slices.Concat(breadth(presets, 16), []Settings{{Models: presets, Precisions: []string{"tf32"}}}, further(presets), contexts(presets), limits(models("1b")))},
}

// SuiteNamed finds a suite by its name.
func SuiteNamed(name string) (Suite, error) {
	var names []string
	for _, s := range Suites {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Suite{}, fmt.Errorf("--suite %s is unknown; take one of %s", name, strings.Join(names, ", "))
}
