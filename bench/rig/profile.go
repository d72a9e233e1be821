package rig

import (
	"context"
	"time"

	"ofpeak/bench/perfetto"
	"ofpeak/bench/waterfall"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/trace"
	"ofpeak/parallel/trainer"
	"ofpeak/results"
)

// maxProfiled bounds the steps that are recorded after the timed ones; with fewer than twice as many samples, half as many steps are.
const maxProfiled = 20

// recorded is the case's launcher with devices and communicators that can be recorded.
func (r *Rig) recorded(c workload.Case) parallel.InProcess {
	l := r.launcher(c)
	open, connect := l.Open, l.Connect
	l.Open = func(rank, world int) (kernels.Device, error) {
		dev, err := open(rank, world)
		if err != nil {
			return nil, err
		}
		return trace.Wrap(dev), nil
	}
	l.Connect = func(world int) []comm.Communicator { return trace.Connect(connect(world)) }
	return l
}

// profile is what recorded steps told.
type profile struct {
	steps []waterfall.Step // each with all ranks
	err   error            // why there is none
}

// join adds another rank's timelines.
func (p profile) join(q profile) profile {
	if p.err == nil {
		p.err = q.err
	}
	for i, s := range q.steps {
		if i == len(p.steps) {
			p.steps = append(p.steps, nil)
		}
		p.steps[i] = append(p.steps[i], s...)
	}
	return p
}

// profileRank records steps like those that were timed, in times of rank 0's clock, which ranks of one process share. All ranks record equally many; only a step that
// fails is an error.
func profileRank(ctx context.Context, rank *parallel.Rank, t *trainer.Trainer, x *exchange, timed int, share bool) (profile, error) {
	var p profile
	var ahead time.Duration
	if !share {
		var err error
		if ahead, err = rank.ClockOffset(time.Now); err != nil {
			return p, err
		}
	}
	dev := rank.Device.(*trace.Device)
	for range min(maxProfiled, max(1, timed/2)) {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		if err := x.together(); err != nil {
			return p, err
		}
		line, err := recordStep(dev, rank, t)
		if err != nil {
			return p, err
		}
		if line.err != nil {
			p.err = line.err
		}
		line.Base = line.Base.Add(-ahead)
		p.steps = append(p.steps, waterfall.Step{line.Timeline})
	}
	return p, nil
}

// recordedStep is a rank's timeline of a step that ended well, or why there is none.
type recordedStep struct {
	trace.Timeline
	err error
}

func recordStep(dev *trace.Device, rank *parallel.Rank, t *trainer.Trainer) (recordedStep, error) {
	failed := dev.Start()
	begin := time.Now()
	enqueue(t)
	enqueued := time.Since(begin)
	_, err := t.Sync()
	line, stopped := dev.Stop(streamNames(rank)...)
	line.Rank, line.Stage = rank.ID, rank.Coord.PP
	line.Host = []trace.Span{{Op: "enqueue", Microbatch: -1, End: enqueued}, {Op: "sync", Microbatch: -1, Begin: enqueued, End: line.Length}}
	if failed == nil {
		failed = stopped
	}
	return recordedStep{line, failed}, err
}

// streamNames are the rank's streams in the order in which it opens them.
func streamNames(rank *parallel.Rank) []string {
	var names []string
	for _, s := range []struct {
		stream kernels.Stream
		name   string
	}{{rank.Compute, "compute"}, {rank.Reduce, "reduce"}, {rank.Pipe, "pipe"}, {rank.Ring, "ring"}, {rank.Aside, "beside"}} {
		if s.stream != nil {
			names = append(names, s.name)
		}
	}
	return names
}

// fillWaterfall sets the columns that say where the step went. A simulated device's time means nothing.
func (r *Rig) fillWaterfall(row *results.Row, c workload.Case, m measurement) {
	step, ok := row.StepMedianS.Get()
	if !ok || len(m.profile.steps) == 0 || m.profile.err != nil || row.Device == results.Sim {
		return
	}
	a := waterfall.Analyze(m.profile.steps, step, r.typePeak(row, c), row.ClockRatio.Or(0))
	if a.IdealKnown {
		row.WFIdealS = results.Some(a.Ideal)
	}
	for _, part := range []struct {
		to *results.Opt[float64]
		s  float64
	}{
		{&row.WFMatmulS, a.Matmul}, {&row.WFAttentionS, a.Attention}, {&row.WFMemoryBoundS, a.Memory}, {&row.WFRecomputeS, a.Recompute},
		{&row.WFOptimizerS, a.Optimizer}, {&row.WFCommS, a.Comm}, {&row.WFBubbleS, a.Bubble}, {&row.WFImbalanceS, a.Imbalance},
		{&row.WFHostS, a.Host}, {&row.WFThrottleS, a.Throttle}, {&row.ProfiledStepS, a.Profiled},
	} {
		*part.to = results.Some(part.s)
	}
	for _, op := range a.Ops {
		row.Ops = append(row.Ops, results.OpTime{Name: op.Name, Seconds: op.Seconds, FLOPs: op.FLOPs, Bytes: op.Bytes})
	}
}

// writeTrace adds the case's recorded step that is nearest to its median.
func (r *Rig) writeTrace(c workload.Case, m measurement) error {
	if r.trace == "" || len(m.profile.steps) == 0 || m.profile.err != nil {
		return nil
	}
	return perfetto.Append(r.trace, c.String(), waterfall.Nearest(m.profile.steps, m.Summary().Median))
}

// typePeak is measuredPeak, of the units that ran, in FLOP/s.
func (r *Rig) typePeak(row *results.Row, c workload.Case) waterfall.Peak {
	peak := asRan(row, r.measuredPeak(c))
	return func(t kernels.DType) (float64, bool) {
		figure, ok := peak(t.String(), false)
		return figure.TOPS * 1e12, ok
	}
}
