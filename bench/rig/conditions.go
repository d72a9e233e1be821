package rig

import (
	"os"
	"slices"

	"ofpeak/bench/nvml"
	"ofpeak/bench/validity"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/results"
)

// conditions are what a case was stepped under.
type conditions struct {
	validity.Report                      // of the rank that watched; of several processes RunDelayPct is the worst one's, the rest the first's
	clock           float64              // host.ClockRate of the slowest core; 0: not known
	clockChange     results.Opt[float64] // validity.ClockChangePct of the core where it changed most
	handoff         results.Opt[float64] // the longest before and after, ns
	gpus            []nvml.Summary       // of each rank's
}

// join takes what either knows, and of what both know the worst.
func (a conditions) join(b conditions) conditions {
	delay := larger(a.RunDelayPct, b.RunDelayPct)
	if a.Report == (validity.Report{}) {
		a.Report = b.Report
	}
	a.RunDelayPct = delay
	if a.clock == 0 || b.clock > 0 && b.clock < a.clock {
		a.clock = b.clock
	}
	a.clockChange, a.handoff = larger(a.clockChange, b.clockChange), larger(a.handoff, b.handoff)
	a.gpus = slices.Concat(a.gpus, b.gpus)
	return a
}

func larger(a, b results.Opt[float64]) results.Opt[float64] {
	if b.Or(-1) > a.Or(-1) {
		return b
	}
	return a
}

// coresOf are the cores that a case uses.
func (r *Rig) coresOf(c workload.Case) []int {
	return r.cores[:min(len(r.cores), c.World()*c.RankThreads(len(r.cores)))]
}

// watch begins to count what else goes on; the function that it returns says what did.
func (r *Rig) watch(c workload.Case) func() conditions {
	root := os.DirFS("/")
	first := r.handoff(c)
	before := validity.Read(root, r.coresOf(c))
	return func() conditions {
		report := validity.Read(root, r.coresOf(c)).Since(before)
		if r.job != nil {
			report.OthersPct = results.Opt[float64]{} // would count the other ranks of the case
		}
		return conditions{Report: report, handoff: larger(first, r.handoff(c))}
	}
}

// watchGPU is watch of the rank's GPU, if it has one.
func (r *Rig) watchGPU(c workload.Case, rank int) func() []nvml.Summary {
	if !c.OnGPU() {
		return func() []nvml.Summary { return nil }
	}
	watched := r.gpus.watch(rank)
	return func() []nvml.Summary { return []nvml.Summary{watched()} }
}

// clockOf reads the clock of the core that a stream of host memory runs on; it is 0 for others.
func clockOf(s kernels.Stream, read func() float64) (float64, error) {
	h, ok := s.(kernels.HostStream)
	if !ok {
		return 0, nil
	}
	rate := 0.0
	h.Do(func() error {
		rate = read()
		return nil
	})
	return rate, h.Sync()
}

// ratio is that of two figures, where both are known.
func ratio(a, b results.Opt[float64]) results.Opt[float64] {
	if !a.Known() || b.Or(0) <= 0 {
		return results.Opt[float64]{}
	}
	return results.Finite(a.Or(0) / b.Or(0))
}

// fillConditions sets the columns that say what the case was stepped under. The clock's ratio needs that at which the ceiling was measured.
func (r *Rig) fillConditions(row *results.Row, c workload.Case, m measurement) {
	w := m.conditions
	row.StealPct, row.OthersPct, row.RunDelayPct, row.PressurePct = w.StealPct, w.OthersPct, w.RunDelayPct, w.PressurePct
	row.ThrottleEvents, row.InvoluntarySwitches = w.ThrottleEvents, w.InvoluntarySwitches
	gpu := nvml.Join(w.gpus)
	energy, basis := w.EnergyJ, w.EnergyBasis
	if gpu.EnergyJ.Known() {
		energy, basis = gpu.EnergyJ, gpu.EnergyBasis
	}
	if tokens := c.Model.Tokens() * (m.WarmupSteps + len(m.Samples)); energy.Known() && tokens > 0 {
		row.EnergyPerTokenJ, row.EnergyBasis = results.Finite(energy.Or(0)/float64(tokens)), basis
	}
	row.GPUSMClockMHz, row.GPULeastSMClockMHz, row.GPUMaxSMClockMHz = gpu.ClockMHz, gpu.LeastClockMHz, gpu.MaxClockMHz
	row.GPUPowerW, row.GPUTemperatureC, row.GPUMemoryBytes = gpu.PowerW, gpu.TemperatureC, gpu.MemoryBytes
	row.GPUThrottleReasons = gpu.Slowed.String()
	row.ClockChangePct, row.HandoffNs = w.clockChange, w.handoff
	if c.OnGPU() {
		row.ClockRatio = ratio(gpu.ClockMHz, r.gpus.ceilings.clock)
		return
	}
	for _, typ := range rateTypes[c.Precision] {
		if at := r.ceilings[len(r.coresOf(c))][typ]; len(at.Rates) > 0 && at.Clock > 0 && w.clock > 0 {
			row.ClockRatio = results.Finite(w.clock / at.Clock)
			return
		}
	}
}
