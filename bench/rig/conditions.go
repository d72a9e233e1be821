package rig

import (
	"os"

	"ofpeak/bench/host"
	"ofpeak/bench/validity"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/results"
)

// conditions are what a case was stepped under.
type conditions struct {
	validity.Report         // of the rank that watched
	clock           float64 // host.ClockRate of the slowest core; 0: not known
}

// join takes what either knows.
func (a conditions) join(b conditions) conditions {
	if a.Report == (validity.Report{}) {
		a.Report = b.Report
	}
	if a.clock == 0 || b.clock > 0 && b.clock < a.clock {
		a.clock = b.clock
	}
	return a
}

// coresOf are the cores that a case uses.
func (r *Rig) coresOf(c workload.Case) []int {
	return r.cores[:min(len(r.cores), c.World()*c.RankThreads(len(r.cores)))]
}

// watch begins to count what else goes on; the function that it returns says what did.
func (r *Rig) watch(c workload.Case) func() validity.Report {
	root := os.DirFS("/")
	before := validity.Read(root, r.coresOf(c))
	return func() validity.Report { return validity.Read(root, r.coresOf(c)).Since(before) }
}

// clockOf is the clock of the core that a stream of host memory runs on, or 0.
func clockOf(s kernels.Stream) (float64, error) {
	h, ok := s.(kernels.HostStream)
	if !ok {
		return 0, nil
	}
	rate := 0.0
	h.Do(func() error {
		rate = host.ClockRate()
		return nil
	})
	return rate, h.Sync()
}

// fillConditions sets the columns that say what the case was stepped under. The clock's ratio needs that at which the ceiling was measured.
func (r *Rig) fillConditions(row *results.Row, c workload.Case, m measurement) {
	w := m.conditions
	row.StealPct, row.RunDelayPct, row.PressurePct = w.StealPct, w.RunDelayPct, w.PressurePct
	row.ThrottleEvents, row.InvoluntarySwitches = w.ThrottleEvents, w.InvoluntarySwitches
	if tokens := c.Model.Tokens() * (m.WarmupSteps + len(m.Samples)); w.EnergyJ.Known() && tokens > 0 {
		row.EnergyPerTokenJ, row.EnergyBasis = results.Finite(w.EnergyJ.Or(0)/float64(tokens)), w.EnergyBasis
	}
	if at, ok := r.clocks[len(r.coresOf(c))]; ok && w.clock > 0 {
		row.ClockRatio = results.Finite(w.clock / at)
	}
}
