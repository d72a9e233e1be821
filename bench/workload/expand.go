package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ofpeak/kernels"
)

// Options choose the cases of a run.
type Options struct {
	Suite      string
	Techniques []string // keep these only; empty: all
	Device     string
	Cores      int   // usable cores of this machine, shared by the ranks of a case on the CPU
	GPUs       int   // usable GPUs, one for each rank, if Device is of that kind
	Seed       int64 // 0: Default's
	Processes  int   // of the job that the ranks of a case are in; 0 or 1: none
	Auto       bool  // not a suite, but a search for the fastest way to split each model over its ranks
	// Override replaces the suite's lists by its own that are not empty. Its Axes are not used, its Ranks replace those of groups with axes.
	Override Settings
}

// Planned is a case of a run, and why it cannot be measured anywhere, if so.
type Planned struct {
	Case Case
	Skip error // nil: runs where the device can
	// Largest, unless "", makes this a search for the largest L or B with which the case trains within its memory; Case is the smallest.
	Largest string
	// Auto makes this a search for the fastest way to split the case, which is Unsplit, over its ranks.
	Auto bool
}

// Expand makes the cases of a run in the order in which they are measured, each once. Before a case stand the two that its relative
// columns need: BaselineOf and OneRankOf. An unknown name or a number out of range is an error. A combination that makes no sense is kept with its reason, as long as each
// technique asked for and each number of ranks asked for has a case that does; otherwise that reason is the error.
func Expand(o Options) ([]Planned, error) {
	suite, err := SuiteNamed(o.Suite)
	if err != nil {
		return nil, err
	}
	p := plan{cores: o.Cores, seen: map[Planned]bool{}}
	if o.Auto {
		p.addAuto(o)
		return p.cases, p.check(o)
	}
	for _, group := range suite.groups(o) {
		p.addGroup(group.override(o.Override), o)
	}
	return p.cases, p.check(o)
}

// override takes o's lists where they are not empty.
func (s Settings) override(o Settings) Settings {
	return Settings{
		Models:       or(o.Models, s.Models),
		Engines:      or(o.Engines, s.Engines),
		Passes:       or(o.Passes, s.Passes),
		Precisions:   or(o.Precisions, s.Precisions),
		Layouts:      or(o.Layouts, s.Layouts),
		Axes:         s.Axes,
		Ranks:        or(o.Ranks, s.Ranks),
		Contexts:     or(o.Contexts, s.Contexts),
		Sequences:    or(o.Sequences, s.Sequences),
		Overlaps:     or(o.Overlaps, s.Overlaps),
		Schedules:    or(o.Schedules, s.Schedules),
		Experts:      or(o.Experts, s.Experts),
		Cuts:         or(o.Cuts, s.Cuts),
		Chunks:       or(o.Chunks, s.Chunks),
		Microbatches: or(o.Microbatches, s.Microbatches),
		BucketBytes:  or(o.BucketBytes, s.BucketBytes),
		ZeRO:         or(o.ZeRO, s.ZeRO),
		Recomputes:   or(o.Recomputes, s.Recomputes),
		Memory:       or(o.Memory, s.Memory),
		Largest:      or(o.Largest, s.Largest),
		Threads:      or(o.Threads, s.Threads),
		ISAs:         or(o.ISAs, s.ISAs),
	}
}

func or[T any](first, second []T) []T {
	if len(first) > 0 {
		return first
	}
	return second
}

// plan collects cases.
type plan struct {
	cores  int
	cases  []Planned
	seen   map[Planned]bool // without reasons
	failed []failure
}

// failure is why there is nothing to measure for a technique on a number of ranks.
type failure struct {
	technique string
	ranks     int
	err       error
}

func (p *plan) addGroup(s Settings, o Options) {
	for _, c := range p.crossed(s, o) {
		if c.Precision == "int8" && len(o.Override.Passes) == 0 {
			c.Pass = Forward // int8 has no other
		}
		if c = c.settled(p.cores); len(o.Techniques) == 0 || slices.Contains(o.Techniques, c.Technique) {
			p.addWhat(c, s.Largest)
		}
	}
}

// crossed is the product of a group's lists.
func (p *plan) crossed(s Settings, o Options) []Case {
	base := Default(Model{})
	base.Device = cmp.Or(o.Device, base.Device)
	base.Seed = cmp.Or(o.Seed, base.Seed)
	if base.Device == Ref {
		base.Precision = "fp64"
	}
	cases := cross([]Case{base}, s.Models, func(c *Case, m Model) { c.Model = m })
	cases = cross(cases, s.Passes, func(c *Case, v string) { c.Pass = v })
	cases = cross(cases, s.Engines, func(c *Case, v string) { c.Engine = v })
	cases = cross(cases, s.Precisions, func(c *Case, v string) { c.Precision = v })
	cases = cross(cases, s.Layouts, func(c *Case, l kernels.Layout) { c.Layout = l })
	if len(s.Axes) > 0 {
		var meshes []mesh
		if meshes = p.meshes(s); len(meshes) == 0 {
			return nil
		}
		cases = cross(cases, meshes, func(c *Case, m mesh) { c.DP, c.TP, c.PP, c.EP, c.CP = m.dp, m.tp, m.pp, m.ep, m.cp })
	}
	cases = cross(cases, s.Sequences, func(c *Case, on bool) { c.Sequence = on })
	cases = cross(cases, s.Overlaps, func(c *Case, v string) { c.Overlap = v })
	cases = cross(cases, or(s.Schedules, []string{F1B1}), func(c *Case, v string) { c.Schedule = v })
	cases = cross(cases, s.Experts, func(c *Case, e Experts) { c.Experts = e })
	cases = cross(cases, s.Cuts, func(c *Case, v string) { c.Cut = v })
	cases = cross(cases, s.Chunks, func(c *Case, n int) { c.Chunks = n })
	cases = cross(cases, or(s.Microbatches, []int{0}), func(c *Case, n int) { c.Microbatches = n })
	cases = cross(cases, s.BucketBytes, func(c *Case, n int) { c.BucketBytes = n })
	cases = cross(cases, s.ZeRO, func(c *Case, n int) { c.ZeRO = n })
	cases = cross(cases, s.Recomputes, func(c *Case, v string) { c.Recompute = v })
	cases = cross(cases, s.Memory, func(c *Case, b Bytes) { c.Memory = b })
	cases = cross(cases, s.Threads, func(c *Case, n int) { c.Threads = n })
	cases = cross(cases, s.ISAs, func(c *Case, v string) { c.ISA = v })
	return cases
}

// addWhat plans a case, or its searches.
func (p *plan) addWhat(c Case, largest []string) {
	if len(largest) == 0 {
		p.add(c)
	}
	for _, dim := range largest {
		p.addSearch(c, dim)
	}
}

// addSearch plans a search. What else it could be compared with is not measured: it is another search of the suite that counts.
func (p *plan) addSearch(c Case, dim string) {
	found := c.search(dim)
	if key := (Planned{Case: found.Case, Largest: dim}); !p.seen[key] {
		p.seen[key] = true
		p.keep(found)
	}
}

// keep adds to the plan.
func (p *plan) keep(what Planned) {
	if what.Skip != nil {
		p.failed = append(p.failed, failure{what.Case.Technique, what.Case.World(), what.Skip})
	}
	p.cases = append(p.cases, what)
}

// cross is each case with each value of a list in turn, or the cases as they are if the list is empty.
func cross[T any](cases []Case, list []T, set func(*Case, T)) []Case {
	if len(list) == 0 {
		return cases
	}
	var out []Case
	for _, c := range cases {
		for _, v := range list {
			set(&c, v)
			out = append(out, c)
		}
	}
	return out
}

// add plans a case behind the cases that it is compared with.
func (p *plan) add(c Case) {
	if p.seen[Planned{Case: c}] {
		return
	}
	err := c.Validate()
	if base := BaselineOf(c); err == nil && base != c {
		p.add(base)
		if one := OneRankOf(c, p.cores); one != c {
			p.add(one)
		}
	}
	p.seen[Planned{Case: c}] = true
	p.keep(Planned{Case: c, Skip: err})
}

// check reports an unknown name or a number out of range, then the first failure of a technique or a number of ranks that was asked for in vain.
func (p *plan) check(o Options) error {
	for _, dim := range o.Override.Largest {
		if err := checkSearched(dim); err != nil {
			return err
		}
	}
	for _, c := range p.cases {
		if err := cmp.Or(checkNames(c.Case), checkRanges(c.Case)); err != nil {
			return err
		}
	}
	vain := func(concerns func(technique string, ranks int) bool, otherwise error) error {
		for _, c := range p.cases {
			if c.Skip == nil && concerns(c.Case.Technique, c.Case.World()) {
				return nil
			}
		}
		for _, f := range p.failed {
			if concerns(f.technique, f.ranks) {
				return f.err
			}
		}
		return otherwise
	}
	for _, t := range o.Techniques {
		if !slices.Contains(Techniques, t) {
			return fmt.Errorf("--technique %s is unknown; take one of %s", t, strings.Join(Techniques, ", "))
		}
		none := fmt.Errorf("--technique %s: no case of suite %s with these options; drop an option or take another technique", t, o.Suite)
		if err := vain(func(technique string, _ int) bool { return technique == t }, none); err != nil {
			return err
		}
	}
	for _, n := range o.Override.Ranks {
		none := fmt.Errorf("--ranks %d: no technique chosen splits over ranks; add --technique %s", n, DataParallel)
		if err := vain(func(_ string, ranks int) bool { return ranks == n }, none); err != nil {
			return err
		}
	}
	return vain(func(string, int) bool { return true }, fmt.Errorf("no case with these options; drop one"))
}

// settled gives fields that do not matter to the case, and those left to choose, their one value.
func (c Case) settled(cores int) Case {
	if c.PP == 1 {
		c.Schedule, c.Cut = "", ByCost
	}
	switch {
	case c.Schedule != Inter:
		c.Chunks = 1
	case c.Chunks == 1:
		c.Chunks = 2
	}
	if c.TP == 1 {
		c.Sequence = false
	}
	if c.CP > 1 && c.Experts != (Experts{}) && c.Experts.Parts == 0 {
		c.Experts.Parts = 2 * c.CP
	}
	if c.Replicas() == 1 {
		c.ZeRO, c.BucketBytes = 0, DefaultBucketBytes
	}
	if !c.sharesLayers() {
		c.Overlap = Auto
	}
	if c.Microbatches == 0 {
		c.Microbatches = defaultMicrobatches(c)
	}
	if c.Threads == share(cores, c.World()) {
		c.Threads = 0
	}
	c.Technique = Classify(c)
	return c
}

// defaultMicrobatches is one without a pipeline. A pipeline gets the most microbatches that divide a rank's batch, up to four a stage:
// its bubble, (pp-1)/(m+pp-1) of the step, is then small, and more of them would only make the matrix products thinner.
func defaultMicrobatches(c Case) int {
	if c.PP == 1 {
		return 1
	}
	batch := c.Model.B / (c.DP * c.EP)
	for m := 4 * c.PP; m > 1; m-- {
		if batch > 0 && batch%m == 0 {
			return m
		}
	}
	return 1
}

// RankThreads is the number of cores that each rank of the case uses on a machine with so many.
func (c Case) RankThreads(cores int) int {
	if c.Threads > 0 {
		return c.Threads
	}
	return share(cores, c.World())
}

func share(cores, ranks int) int { return max(1, cores/max(1, ranks)) }

// BaselineOf is the case that c's speed-up is measured against: dense fp32 (fp64 on the reference) on one rank with all cores, of the
// same model, pass, device, instruction set and seed.
func BaselineOf(c Case) Case {
	b := Default(c.Model)
	b.Pass, b.Device, b.ISA, b.Seed = c.Pass, c.Device, c.ISA, c.Seed
	if b.Device == Ref {
		b.Precision = "fp64"
	}
	return b
}

// OneRankOf is the case that c's scaling efficiency is measured against: the same on one rank that has as many cores as each of c's.
func OneRankOf(c Case, cores int) Case {
	threads := c.RankThreads(cores)
	if c.OnGPU() {
		threads = 0
	}
	c.DP, c.TP, c.PP, c.EP, c.CP, c.Microbatches, c.Schedule, c.Chunks, c.Threads = 1, 1, 1, 1, 1, 1, "", 1, threads
	c.Memory = 0 // a rank alone needs what all had
	return c.settled(cores)
}
