package rig

import (
	"context"
	"math"
	"sync"
	"time"

	"ofpeak/bench/host"
	"ofpeak/bench/measure"
	"ofpeak/bench/validity"
	"ofpeak/bench/workload"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
)

// measurement is what stepping a case told.
type measurement struct {
	measure.Result
	lossFirst, lossLast float64
	variants            string
	graphs              string // as the row's column
	noGraph             error  // why not, where it was tried
	peakBytes           int64  // of the rank that took most, by its device's allocator
	stateBytes          int64  // of the rank that has most, by ZeRO's formula; 0 where nothing is trained
	processBytes        int64  // of the largest process
	processKnown        bool
	commBytes           int64 // of the rank that moved most, in one step
	phases              phases
	skippedSteps        int // by loss scaling
	routing             routing
	profile             profile
	conditions          conditions
}

// diverged reports a loss that is no number, or that training raised.
func (m measurement) diverged() bool {
	return math.IsNaN(m.lossLast) || math.IsInf(m.lossLast, 0) || m.lossLast > m.lossFirst*(1+1e-3)
}

// measure steps a case by the rule.
func (r *Rig) measure(ctx context.Context, c workload.Case) (measurement, error) {
	if c.IsGorgonia() {
		return r.measureGorgonia(ctx, c)
	}
	return r.stepped(ctx, c, steps{stepping, r.rule, true})
}

// steps are how a case is stepped.
type steps struct {
	task     string // of the order to the other processes
	rule     measure.Rule
	recorded bool // then one more, for the profile
}

// stepped steps a case on all its ranks.
func (r *Rig) stepped(ctx context.Context, c workload.Case, how steps) (measurement, error) {
	var mu sync.Mutex
	var m measurement
	err := r.launch(ctx, order{Task: how.task}, c, how.recorded, func(ctx context.Context, rank *parallel.Rank) error {
		one, err := r.measureRank(ctx, c, rank, how)
		mu.Lock()
		m = m.join(one)
		mu.Unlock()
		if err != nil {
			return err
		}
		one.processBytes, one.processKnown = host.PeakMemory()
		rank.Device.LimitMemory(0) // what goes to the first process passes through the device too
		return merge(r, c, rank, one.send(), func(other sent) { m = m.join(other.receive()) })
	})
	mu.Lock() // a rank that was left behind may still come back
	defer mu.Unlock()
	if mine, ok := host.PeakMemory(); ok {
		m.processBytes, m.processKnown = max(m.processBytes, mine), true
	}
	return m, err
}

// join keeps the worst of both. Samples and losses are the same on all ranks.
func (m measurement) join(n measurement) measurement {
	out := n
	if len(m.Samples) > len(n.Samples) {
		out = m
	}
	out.processBytes, out.processKnown = max(m.processBytes, n.processBytes), m.processKnown || n.processKnown
	out.peakBytes, out.commBytes = max(m.peakBytes, n.peakBytes), max(m.commBytes, n.commBytes)
	out.stateBytes = max(m.stateBytes, n.stateBytes)
	out.routing = m.routing.plus(n.routing)
	out.profile, out.conditions = m.profile.join(n.profile), m.conditions.join(n.conditions)
	out.phases = m.phases.each(n.phases, math.Max)
	return out
}

// measureRank is one rank's part. All ranks take the same steps, since all are told the slowest rank's time of each.
func (r *Rig) measureRank(ctx context.Context, c workload.Case, rank *parallel.Rank, how steps) (measurement, error) {
	var m measurement
	x, err := newExchange(rank)
	if err != nil {
		return m, err
	}
	cfg := c.Training()
	if c.Cut == workload.ByMeasurement {
		if cfg.Costs, err = measureCosts(ctx, c, rank, x); err != nil {
			return m, err
		}
	}
	rank.Device.LimitMemory(int64(c.Memory))
	t, err := trainer.New(rank, cfg)
	if err != nil {
		return m, err
	}
	rank.Device.LimitMemory(0) // the batch comes from a teacher that takes memory of its own
	if err := setBatch(t, c, r.corpus, 0); err != nil {
		return m, err
	}
	rank.Device.ResetPeak()
	rank.Device.LimitMemory(int64(c.Memory))
	if !t.Stage.Forward {
		m.stateBytes = int64(math.Round(t.Stage.StateBytes()))
	}
	m.variants = variantsOf(rank.Device, t.Stage.Config, c.ISA)
	if how.recorded {
		if m, err = r.capture(m, c, t); err != nil {
			return m, err
		}
	}
	watched, watchedGPU := r.watch(c), r.watchGPU(c, rank.ID)
	defer watchedGPU() // also if a step panics
	var reports []trainer.Report
	var clocks []float64
	m.Result, err = measure.Run(how.rule, func() (float64, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		clock, err := clockOf(rank.Compute, host.ClockGlance) // before the barrier, where it is in nobody's step
		if err != nil {
			return 0, err
		}
		if clock > 0 {
			clocks = append(clocks, clock)
		}
		if err := x.together(); err != nil {
			return 0, err
		}
		start := time.Now()
		report, err := step(t)
		took := time.Since(start).Seconds()
		if err != nil {
			return 0, err
		}
		reports = append(reports, report)
		return x.largest(took)
	})
	if rank.ID == 0 || r.joined(c) { // once a process
		m.conditions = watched()
	}
	m.conditions.gpus = watchedGPU()
	m.conditions.clockChange = validity.ClockChangePct(clocks[min(len(clocks), m.WarmupSteps):])
	m.peakBytes = rank.Device.Memory().Peak
	if len(reports) > 0 {
		m.lossLast = reports[len(reports)-1].Loss
		if m.graphs != GraphsOn {
			m.lossFirst = reports[0].Loss
		}
	}
	if m.routing, err = addRouting(err, t); err != nil {
		return m, err
	}
	reports = reports[min(len(reports), m.WarmupSteps):]
	m.phases = typical(reports, m.Samples)
	for _, report := range reports {
		m.commBytes = max(m.commBytes, report.CommBytes)
	}
	if err == nil && t.Stage.Precision.ScaleLoss && !t.Stage.Forward {
		_, _, m.skippedSteps, err = t.Scaling()
	}
	if err == nil {
		m.conditions.clock, err = clockOf(rank.Compute, host.ClockRate)
	}
	if err == nil && m.graphs == GraphsOn {
		err = t.Uncapture()
	}
	if err == nil && how.recorded && c.Device != workload.Sim {
		m.profile, err = profileRank(ctx, rank, t, x, len(m.Samples), !r.joined(c))
	}
	return m, err
}

// step runs the case's pass once and waits for it.
func step(t *trainer.Trainer) (trainer.Report, error) {
	enqueue(t)
	return t.Sync()
}

func enqueue(t *trainer.Trainer) {
	if t.Stage.Forward {
		t.ForwardPass()
	} else {
		t.TrainStep()
	}
}

// setBatch gives the trainer the inputs of one step.
func setBatch(t *trainer.Trainer, c workload.Case, text workload.Corpus, step int) error {
	if c.Model.V == 0 {
		return t.SetRegression(uint64(c.Seed))
	}
	return t.SetTokens(func(seq, pos int) int32 {
		ids, next := text.Window(uint64(c.Seed), step, seq, c.Model.T)
		if pos == c.Model.T {
			return int32(next[pos-1])
		}
		return int32(ids[pos])
	})
}

// work is what all ranks of a case compute together in one step.
func work(c workload.Case) block.Work { return c.Training().Model.TotalWork() }
