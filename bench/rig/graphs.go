package rig

import (
	"fmt"

	"ofpeak/bench/workload"
	"ofpeak/parallel/trainer"
)

// What Options.Graphs may be: whether steps on GPUs are launches of a graph. Where auto finds that they cannot be, a row says why.
const (
	GraphsAuto = "auto"
	GraphsOn   = "on"
	GraphsOff  = "off"
)

// Graphs are these.
var Graphs = []string{GraphsAuto, GraphsOn, GraphsOff}

// wantsGraphs tells whether a case's steps are to be a graph. On simulated GPUs, where launching takes no time that counts, they are only if the user says so: the step before costs another.
func (r *Rig) wantsGraphs(c workload.Case) bool {
	return c.OnGPU() && (r.graphs == GraphsOn || r.graphs == GraphsAuto && c.Device != workload.Sim)
}

// capture makes a case's later steps a graph, if they are to be one, after a first step call by call. What is known of both goes into m.
func (r *Rig) capture(m measurement, c workload.Case, t *trainer.Trainer) (measurement, error) {
	if !c.OnGPU() {
		return m, nil
	}
	m.graphs = GraphsOff
	if !r.wantsGraphs(c) {
		return m, nil
	}
	first, err := step(t)
	if err != nil {
		return m, err
	}
	m.lossFirst = first.Loss
	switch err := t.Capture(); {
	case err == nil:
		m.graphs = GraphsOn
	case r.graphs == GraphsOn:
		return m, fmt.Errorf("--graphs on: %w", err)
	default:
		m.noGraph = err
	}
	return m, nil
}
