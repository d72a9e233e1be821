package workload

import "slices"

// Simulated is the model of runs on simulated GPUs that name none: an interpreter takes about a second for one of its steps.
var Simulated = Model{C: 32, NH: 4, T: 8, L: 2, B: 8}

// groups are the suite's groups as they are measured on a device. On GPUs, ranks are split over 2, 4, 8 and so on, and over all of them; Gorgonia's graphs, which
// run on the CPU only, are left out. What the user asked for stays.
func (s Suite) groups(o Options) []Settings {
	if !(Case{Device: o.Device}).OnGPU() {
		return s.Groups
	}
	groups := slices.Clone(s.Groups)
	if s.OnGPU != nil {
		groups = slices.Clone(s.OnGPU)
	}
	for i := range groups {
		g := &groups[i]
		g.Engines = nil
		if worlds := worlds(o.GPUs); worlds != nil && len(g.Ranks) > 0 {
			g.Ranks = worlds
		}
		if o.Device == Sim {
			g.Models = []Model{Simulated}
		}
	}
	return groups
}

// worlds are the powers of two up to a number of GPUs, and that number; nil if there is one.
func worlds(gpus int) []int {
	var out []int
	for n := 2; n < gpus; n *= 2 {
		out = append(out, n)
	}
	if gpus > 1 {
		out = append(out, gpus)
	}
	return out
}
