package rig

import (
	"os"
	"time"

	"ofpeak/bench/host"
	"ofpeak/bench/workload"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results"
)

// bandwidthTime is what each of the four figures of package peak is given: two passes over the working set or more.
const bandwidthTime = 60 * time.Millisecond

// memoryRate is the fastest rate, in 10^9 bytes per second, at which a rank's GPU reads or writes its memory, or its share of that at which the cores that the case uses
// read or write main memory. It is empty where it could not be measured.
func (r *Rig) memoryRate(c workload.Case) results.Opt[float64] {
	if c.OnGPU() {
		if rate := r.gpuMemoryRate(); rate > 0 {
			return results.Some(rate)
		}
		return results.Opt[float64]{}
	}
	cores := min(len(r.cores), c.World()*c.RankThreads(len(r.cores)))
	return results.Some(r.bandwidthOn(cores) / float64(c.World()))
}

// bandwidthOn measures the memory of so many cores once a run.
func (r *Rig) bandwidthOn(cores int) float64 {
	if rate, ok := r.bandwidths[cores]; ok {
		return rate
	}
	best := 0.0
	for _, b := range onCores(r.cores[:cores], func(t *team.Team) []peak.Bandwidth { return peak.Bandwidths(t, bandwidthTime, workingSet()) }) {
		best = max(best, b.All)
	}
	r.bandwidths[cores] = best
	return best
}

// workingSet is what package peak asks for, or a quarter of the memory that is left.
func workingSet() int64 {
	bytes := peak.WorkingSet()
	if _, available := host.Memory(os.DirFS("/")); available > 0 {
		bytes = min(bytes, available/4)
	}
	return bytes
}
