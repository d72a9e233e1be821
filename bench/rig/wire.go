package rig

import (
	"errors"

	"ofpeak/bench/measure"
	"ofpeak/bench/nvml"
	"ofpeak/bench/waterfall"
	"ofpeak/results"
)

// sent is a measurement on its way to another process.
type sent struct {
	measure.Result
	LossFirst, LossLast  float64
	Variants             string
	Graphs, NoGraph      string
	PeakBytes, CommBytes int64
	StateBytes           int64
	ProcessBytes         int64
	ProcessKnown         bool
	Phases               phases
	SkippedSteps         int
	Routing              [2]float64
	Steps                []waterfall.Step
	NotRecorded          string
	Clock                float64
	ClockChange          float64 // as RunDelay in percent, and -1 where it is not known
	RunDelay             float64
	GPUs                 []nvml.Summary
}

func (m measurement) send() sent {
	w := m.conditions
	s := sent{m.Result, m.lossFirst, m.lossLast, m.variants, m.graphs, "", m.peakBytes, m.commBytes, m.stateBytes, m.processBytes, m.processKnown,
		m.phases, m.skippedSteps, [2]float64{m.routing.choices, m.routing.dropped}, m.profile.steps, "",
		w.clock, w.clockChange.Or(-1), w.RunDelayPct.Or(-1), w.gpus}
	if m.profile.err != nil {
		s.NotRecorded = m.profile.err.Error()
	}
	if m.noGraph != nil {
		s.NoGraph = m.noGraph.Error()
	}
	return s
}

func (s sent) receive() measurement {
	m := measurement{Result: s.Result, lossFirst: s.LossFirst, lossLast: s.LossLast, variants: s.Variants, graphs: s.Graphs, peakBytes: s.PeakBytes, commBytes: s.CommBytes, stateBytes: s.StateBytes,
		processBytes: s.ProcessBytes, processKnown: s.ProcessKnown,
		phases: s.Phases, skippedSteps: s.SkippedSteps, routing: routing{s.Routing[0], s.Routing[1]}, profile: profile{steps: s.Steps}}
	if s.NotRecorded != "" {
		m.profile.err = errors.New(s.NotRecorded)
	}
	if s.NoGraph != "" {
		m.noGraph = errors.New(s.NoGraph)
	}
	m.conditions.clock, m.conditions.clockChange, m.conditions.RunDelayPct = s.Clock, notNegative(s.ClockChange), notNegative(s.RunDelay)
	m.conditions.gpus = s.GPUs
	return m
}

func notNegative(v float64) results.Opt[float64] {
	if v < 0 {
		return results.Opt[float64]{}
	}
	return results.Some(v)
}
