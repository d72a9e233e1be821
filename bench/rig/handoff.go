package rig

import (
	"fmt"

	"ofpeak/bench/workload"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results"
)

const (
	mostPartners = 8   // of the first core
	muchLonger   = 1.5 // times the least, since cores that stay where they are differ by some percent
)

// handoff is how long the first of a case's cores takes at most to see what another one has written, ns. It is not known where ranks are processes, for the
// others' are at work, and where no two cores are.
func (r *Rig) handoff(c workload.Case) (longest results.Opt[float64]) {
	cores := r.coresOf(c)
	if r.job != nil || c.Device != workload.CPU || len(cores) < 2 || cores[0] == cores[1] {
		return longest
	}
	for _, core := range partners(cores) {
		if ns, known := team.Handoff(cores[0], core); known {
			longest = larger(longest, results.Some(ns))
		}
	}
	if ns, known := longest.Get(); known {
		r.keepHandoff(len(cores), ns)
	}
	return longest
}

// partners are all cores but the first, or some at equal distances, the last among them.
func partners(cores []int) []int {
	others := cores[1:]
	n := min(len(others), mostPartners)
	var some []int
	for i := range n {
		some = append(some, others[(i+1)*len(others)/n-1])
	}
	return some
}

// keepHandoff keeps the least.
func (r *Rig) keepHandoff(cores int, ns float64) {
	if least, known := r.handoffs[cores]; !known || ns < least {
		r.handoffs[cores] = ns
	}
}

// handoffCaution says that the cores lay farther apart than at other times of the run: a virtual machine's are moved by its host. What one operator
// writes on one core the next may read on another, so this concerns one rank's threads as well as several ranks (docs/performance.md).
func (r *Rig) handoffCaution(c workload.Case, handoff results.Opt[float64]) []string {
	least, ns := r.handoffs[len(r.coresOf(c))], handoff.Or(0)
	if least == 0 || ns < muchLonger*least {
		return nil
	}
	return []string{fmt.Sprintf("the cores lay apart: one saw in %.0f ns what another wrote, and in %.0f ns at another time of the run", ns, least)}
}
