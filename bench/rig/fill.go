package rig

import (
	"fmt"
	"strings"
	"time"

	"ofpeak/bench/host"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// fill sets the columns that were measured, as far as the case came.
func (r *Rig) fill(row *results.Row, c workload.Case, m measurement) {
	row.VariantsUsed, row.Graphs = m.variants, m.graphs
	row.WarmupSteps, row.SampleCount = results.Some(m.WarmupSteps), results.Some(len(m.Samples))
	row.Warmup, row.Stopped, row.StepSamplesS = m.Warmup, m.Stopped, m.Samples
	row.PeakBytesPerRank, row.ModelStateBytes = positive(m.peakBytes), positive(m.stateBytes)
	if c.World() > 1 {
		row.Collectives = r.engine(c).name
	}
	if m.processKnown && c.Device != workload.Sim {
		row.ProcessPeakBytes = results.Some(m.processBytes)
	}
	if len(m.Samples) == 0 {
		return
	}
	s := m.Summary()
	row.StepMedianS, row.StepCILowS, row.StepCIHighS, row.StepSpreadPct = results.Some(s.Median), s.Low, s.High, s.SpreadPct
	row.LossFirst, row.LossLast = results.Finite(m.lossFirst), results.Finite(m.lossLast)
	m.routing.fill(row)
	row.TokensPerStep = results.Some(int64(c.Model.Tokens()))
	row.TokensPerS = results.Some(float64(c.Model.Tokens()) / s.Median)
	fillFLOPs(row, c, s.Median)
	if c.IsGorgonia() {
		return // no events inside of its graph
	}
	row.CommBytes, row.CommExposedS = results.Some(m.commBytes), results.Some(m.phases.Exposed)
	row.ForwardS, row.BackwardS = results.Some(m.phases.Forward), results.Some(m.phases.Backward)
	row.OptimizerS, row.CommS = results.Some(m.phases.Optimizer), results.Some(m.phases.Comm)
	row.BubbleS = results.Some(m.phases.Bubble)
	if row.Precision == "fp16" && c.Pass == workload.Train {
		row.SkippedSteps = results.Some(m.skippedSteps)
	}
}

func positive(n int64) results.Opt[int64] {
	if n <= 0 {
		return results.Opt[int64]{}
	}
	return results.Some(n)
}

func fillFLOPs(row *results.Row, c workload.Case, seconds float64) {
	w := work(c)
	perDevice := func(f block.FLOPs) results.Opt[float64] {
		return results.Some(f.Total() / seconds / float64(c.World()) / 1e12)
	}
	row.FLOPsFormula = block.CostVersion
	row.ModelFLOPsPerStep = results.Some(int64(w.Model.Total()))
	row.ExecutedFLOPsPerStep = results.Some(int64(w.Executed.Total()))
	row.TFLOPSTotal = results.Some(w.Model.Total() / seconds / 1e12)
	row.TFLOPSPerDevice = perDevice(w.Model)
	row.ExecutedTFLOPSPerDevice = perDevice(w.Executed)
	row.DenseEquivTFLOPSPerDevice = perDevice(w.Dense)
}

// fillShares divides what one rank does by the peaks of its share of the machine. A simulated device has no speed to divide.
func (r *Rig) fillShares(row *results.Row, c workload.Case, m measurement) {
	seconds, ok := row.StepMedianS.Get()
	if !ok || c.Device == workload.Sim {
		return
	}
	w, ranks := work(c), float64(c.World())
	model, executed := works(w.Model, ranks), works(w.Executed, ranks)
	measured := asRan(row, r.measuredPeak(c))
	row.ShareMeasuredPct, row.ShareMeasuredBasis = chips.Share(model, seconds, measured)
	row.HFUMeasuredPct, _ = chips.Share(executed, seconds, measured)
	row.MemoryGBPerS = r.memoryRate(c)
	if r.machine.Chip != "" {
		fillPublishedShares(row, c, seconds, r.chip)
	}
}

func works(f block.FLOPs, ranks float64) []chips.Work {
	var ws []chips.Work
	for t, n := range f {
		if n > 0 {
			ws = append(ws, chips.Work{DType: kernels.DType(t).String(), FLOPs: n / ranks})
		}
	}
	return ws
}

// rateTypes are the operand types, as package peak names them, whose multiply-add rate bounds each type: the CPU widens fp16 before it multiplies, fp8 to bf16, and
// bf16 too where it has no instruction for it.
var rateTypes = map[string][]string{"fp32": {"float32"}, "fp16": {"float32"}, "bf16": {"bfloat16", "float32"}, "fp8": {"bfloat16", "float32"}, "int8": {"int8"}}

// measuredPeak is the multiply-add rate of a rank's GPU, or, from registers, of its share of the cores that the case uses.
func (r *Rig) measuredPeak(c workload.Case) chips.Peak {
	if c.OnGPU() {
		return r.gpuPeak(c)
	}
	cores := min(len(r.cores), c.World()*c.RankThreads(len(r.cores)))
	share := float64(cores) / float64(c.World())
	return func(dtype string, _ bool) (chips.Figure, bool) {
		dtype = strings.ToLower(dtype)
		for _, typ := range rateTypes[dtype] {
			best, ok := bestRate(r.ceilingOn(cores, typ).Rates, typ, c.ISA)
			if !ok {
				continue
			}
			gops := best.All / float64(cores) * share
			return chips.Figure{TOPS: gops / 1e3, Basis: fmt.Sprintf("measured %s multiply-adds, %s, %.4g GOPS for %s per rank", typ, best.Variant, gops, coresText(share))}, true
		}
		return chips.Figure{}, false
	}
}

func coresText(n float64) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%.3g cores", n)
}

// asFast is the least share of the highest rate at which a variant counts as fast as it.
const asFast = 0.99

// bestRate is the highest rate of a type that the case may use. Where several variants reach it but for noise (Zen 4 computes 512 bits in two halves), it bears
// the name of the last of them, the widest, so that the rows of a run have one basis.
func bestRate(rates []peak.Rate, typ, isa string) (peak.Rate, bool) {
	var best peak.Rate
	for _, rate := range rates {
		if rate.Type == typ && rate.All > asFast*best.All && allowed(rate.Variant, isa) {
			best = peak.Rate{Type: typ, Variant: rate.Variant, All: max(rate.All, best.All)}
		}
	}
	return best, best.All > 0
}

// allowed reports whether a variant lies within an instruction set that caps it.
func allowed(variant, isa string) bool {
	level := func(v string) int {
		switch {
		case strings.HasPrefix(v, "avx512"):
			return 2
		case v == "avx2", v == "neon":
			return 1
		}
		return 0
	}
	return isa == "" || level(variant) <= level(isa)
}

// ceilingTime is what each ceiling is given: long enough that some of its 2 ms runs meet no neighbour on a busy machine, since a ceiling that is measured too
// low flatters every row.
const ceilingTime = 150 * time.Millisecond

// ceiling is what some cores were measured to multiply and add of one type at most.
type ceiling struct {
	Rates []peak.Rate // All of each
	Clock float64     // host.ClockRate right after
}

// ceilingOn measures that of so many cores and a type once a run, before the first row that needs it.
func (r *Rig) ceilingOn(cores int, typ string) ceiling {
	if known, ok := r.ceilings[cores][typ]; ok {
		return known
	}
	measured := onCores(r.cores[:cores], func(t *team.Team) ceiling {
		return ceiling{peak.TeamRates(t, typ, ceilingTime), host.ClockRate()}
	})
	r.keep(cores, typ, measured)
	return measured
}

func (r *Rig) keep(cores int, typ string, c ceiling) {
	if r.ceilings[cores] == nil {
		r.ceilings[cores] = map[string]ceiling{}
	}
	r.ceilings[cores][typ] = c
}

// onCores measures with a worker on each of the cores. It does so on a goroutine of its own: its thread is bound to a core and ends with it.
func onCores[T any](cores []int, measure func(*team.Team) T) T {
	result := make(chan T)
	go func() {
		t := team.NewUnpinned(len(cores))
		if team.Pin(cores[0]) == nil {
			t.Close()
			t = team.New(cores)
		}
		defer t.Close()
		result <- measure(t)
	}()
	return <-result
}
