package workload

// Unsplit is a case as a search for the fastest way to split it starts: the ranks all data-parallel, and nothing else chosen that a search chooses.
func (c Case) Unsplit() Case {
	ranks := c.World()
	c.DP, c.TP, c.PP, c.EP, c.CP, c.Sequence, c.Overlap = ranks, 1, 1, 1, 1, false, Auto
	c.Schedule, c.Chunks, c.Cut, c.Microbatches, c.ZeRO, c.Recompute, c.BucketBytes = "", 1, ByCost, 1, 0, None, DefaultBucketBytes
	c.Technique = Classify(c)
	return c
}

// addAuto plans a search for the fastest split of each model over each number of ranks, behind what its rows are compared with.
func (p *plan) addAuto(o Options) {
	model := "small"
	if (Case{Device: o.Device}).OnGPU() {
		model = "1b"
	}
	s := Settings{Models: models(model), Ranks: []int{o.autoRanks()}}
	if o.Device == Sim {
		s.Models = []Model{Simulated}
	}
	s = s.override(o.Override)
	for _, c := range cross(p.crossed(s, o), s.Ranks, func(c *Case, n int) { c.DP = n }) {
		c = c.settled(p.cores).Unsplit()
		if c.Threads == share(p.cores, c.World()) {
			c.Threads = 0
		}
		if checkNames(c) == nil && checkRanges(c) == nil {
			p.add(BaselineOf(c))
			p.add(OneRankOf(c, p.cores))
		}
		if key := (Planned{Case: c, Auto: true}); !p.seen[key] {
			p.seen[key] = true
			p.keep(key)
		}
	}
}

// autoRanks is the number of ranks if the user names none: all GPUs, the processes of the job, or as many as there are cores, up to eight.
func (o Options) autoRanks() int {
	switch {
	case o.GPUs > 0:
		return o.GPUs
	case o.Processes > 1:
		return o.Processes
	}
	n := 2
	for 2*n <= min(o.Cores, 8) {
		n *= 2
	}
	return n
}

// mostAccumulated bounds the microbatches of a step without a pipeline, which save memory and no time.
const mostAccumulated = 8

// Splits are all ways to train a case on its ranks: each product of axes, with each level of ZeRO, schedule, number of microbatches, with and without sequence parallelism and
// recomputation. Many make no sense, as Validate says.
func (c Case) Splits() []Case {
	cases := cross([]Case{c.Unsplit()}, c.products(), func(c *Case, m mesh) { c.DP, c.TP, c.PP, c.EP, c.CP = m.dp, m.tp, m.pp, m.ep, m.cp })
	cases = vary(cases, Case.sequences, func(c *Case, on bool) { c.Sequence = on })
	cases = vary(cases, Case.schedules, func(c *Case, p pipeline) { c.Schedule, c.Chunks = p.schedule, p.chunks })
	cases = vary(cases, Case.counts, func(c *Case, n int) { c.Microbatches = n })
	cases = vary(cases, Case.levels, func(c *Case, level int) { c.ZeRO = level })
	cases = cross(cases, Recomputes, func(c *Case, v string) { c.Recompute = v })
	for i := range cases {
		cases[i].Technique = Classify(cases[i])
	}
	return cases
}

// vary is cross with a list of each case's own.
func vary[T any](cases []Case, list func(Case) []T, set func(*Case, T)) []Case {
	var out []Case
	for _, c := range cases {
		out = append(out, cross([]Case{c}, list(c), set)...)
	}
	return out
}

// products are the ranks' factors, in order, on each axis. Only experts have an axis of their own.
func (c Case) products() []mesh {
	var out []mesh
	ranks := c.World()
	for _, tp := range divisors(ranks, ranks) {
		for _, pp := range divisors(ranks/tp, ranks) {
			for _, ep := range divisors(ranks/tp/pp, ranks) {
				if ep > 1 && c.Experts == (Experts{}) {
					continue
				}
				for _, cp := range divisors(ranks/tp/pp/ep, ranks) {
					out = append(out, mesh{ranks / tp / pp / ep / cp, tp, pp, ep, cp})
				}
			}
		}
	}
	return out
}

// divisors of n up to a largest.
func divisors(n, most int) []int {
	var out []int
	for d := 1; d <= min(n, most); d++ {
		if n%d == 0 {
			out = append(out, d)
		}
	}
	return out
}

func (c Case) sequences() []bool {
	if c.TP == 1 {
		return []bool{false}
	}
	return []bool{false, true}
}

type pipeline struct {
	schedule string
	chunks   int
}

// schedules are a pipeline's, interleaved ones with each number of chunks that its layers make.
func (c Case) schedules() []pipeline {
	switch {
	case c.PP == 1:
		return []pipeline{{"", 1}}
	case c.Pass == Forward:
		return nil // the cost model knows schedules of whole steps only
	}
	out := []pipeline{{GPipe, 1}, {F1B1, 1}, {ZBH1, 1}}
	for chunks := 2; chunks*c.PP <= c.Model.L; chunks *= 2 {
		out = append(out, pipeline{Inter, chunks})
	}
	return out
}

// counts are the numbers of microbatches that divide a rank's batch: up to eight a stage, from where on a pipeline's bubble hardly shrinks.
func (c Case) counts() []int {
	batch := c.Model.B / (c.DP * c.EP)
	if batch == 0 {
		return []int{1}
	}
	return divisors(batch, max(mostAccumulated, 8*c.PP))
}

func (c Case) levels() []int {
	if c.Replicas() == 1 {
		return []int{0}
	}
	return []int{0, 1, 2, 3}
}
