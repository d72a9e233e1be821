package rig

import (
	"errors"
	"fmt"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// gpuCeilings are what the first GPU was measured to do at most; the others are of its kind.
type gpuCeilings struct {
	cuda.Ceilings
	asked bool
	err   error                // why there are none
	clock results.Opt[float64] // mean of the GPU's SMs meanwhile, MHz
}

// Ceilings measures what a GPU of this rig can do at most, each figure for the given time. Of a simulated one they have no rates.
func (r *Rig) Ceilings(each time.Duration) (cuda.Ceilings, error) {
	dev, err := cuda.Open(r.gpus.Driver, r.gpus.device(0))
	if err != nil {
		return cuda.Ceilings{}, err
	}
	c, err := dev.Ceilings(each)
	return c, errors.Join(err, dev.Close())
}

// measuredCeilings measures them once a run, before the first row that needs them.
func (r *Rig) measuredCeilings() cuda.Ceilings {
	g := &r.gpus.ceilings
	if !g.asked {
		g.asked = true
		watched := r.gpus.watch(0)
		g.Ceilings, g.err = r.Ceilings(ceilingTime)
		g.clock = watched().ClockMHz
	}
	return g.Ceilings
}

// gpuPeak is the multiply-add rate of one GPU, as far as the case's variants go.
func (r *Rig) gpuPeak(c workload.Case) chips.Peak {
	rates := r.measuredCeilings().Rates
	return func(dtype string, sparse24 bool) (chips.Figure, bool) {
		best, ok := bestGPURate(rates, dtype, sparse24, c.ISA)
		if !ok {
			return chips.Figure{}, false
		}
		kind := best.Type.String()
		if sparse24 {
			kind = "2:4-sparse " + kind
		}
		return chips.Figure{TOPS: best.TOPS, Basis: fmt.Sprintf("measured %s multiply-adds, %s, %.4g TOPS a GPU", kind, best.Variant, best.TOPS)}, true
	}
}

// bestGPURate is the fastest that a case may use: with every product on fused multiply-adds only those of float32, on our own kernels none of a library's.
func bestGPURate(rates []cuda.Rate, dtype string, sparse24 bool, isa string) (cuda.Rate, bool) {
	if isa == "fma" {
		dtype, sparse24 = kernels.F32.String(), false
	}
	var best cuda.Rate
	for _, rate := range rates {
		library := rate.Variant == "cublaslt" && isa == "mma" || rate.Variant == "cusparselt" && (isa == "mma" || isa == "cublaslt")
		if rate.Type.String() == dtype && rate.Sparse24 == sparse24 && !library && rate.TOPS > best.TOPS {
			best = rate
		}
	}
	return best, best.TOPS > 0
}

// gpuMemoryRate is the fastest rate, in 10^9 bytes a second, at which one GPU was measured to read its memory, or read and write it.
func (r *Rig) gpuMemoryRate() (rate float64) {
	for _, b := range r.measuredCeilings().Bandwidths {
		rate = max(rate, b.GBps)
	}
	return rate
}
