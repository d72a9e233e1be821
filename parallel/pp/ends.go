package pp

// Times are what the passes of one chunk on one stage take, and what it takes to hand a result to the stage that waits for it, in any unit.
type Times struct {
	Forward, BackwardInput, BackwardWeight float64 // a whole backward pass takes both
	Transfer                               float64
}

// Ends is when each stage's last pass of a step ends, on a clock that starts at 0: a stage does its passes in the schedule's order, each as soon as what it needs
// has arrived. Transfers wait for nothing but the pass that they hand on.
func Ends(s Schedule, stages, microbatches int, times func(stage, chunk int) Times) []float64 {
	c := newClock(s, stages, microbatches, times)
	for moved := true; moved; {
		moved = false
		for stage := range stages {
			for c.advance(stage) {
				moved = true
			}
		}
	}
	return c.now
}

// clock runs all stages' passes.
type clock struct {
	stages, chunks int
	times          func(stage, chunk int) Times
	passes         [][]Action // by stage: those yet to run
	now            []float64  // by stage
	arrived        map[pass]float64
}

// pass is a microbatch's forward or backward pass through one stage's chunk.
type pass struct {
	stage    int
	backward bool
	chunk    int
	batch    int
}

func newClock(s Schedule, stages, microbatches int, times func(stage, chunk int) Times) *clock {
	c := &clock{stages: stages, chunks: 1, times: times, now: make([]float64, stages), arrived: map[pass]float64{}}
	for stage := range stages {
		var passes []Action
		for _, a := range s(stage, stages, microbatches) {
			switch a.Kind {
			case Forward, Backward, BackwardInput, BackwardWeight:
				passes = append(passes, a)
				c.chunks = max(c.chunks, a.Chunk+1)
			}
		}
		c.passes = append(c.passes, passes)
	}
	return c
}

// advance runs a stage's next pass, if what it waits for is known to have arrived.
func (c *clock) advance(stage int) bool {
	if len(c.passes[stage]) == 0 {
		return false
	}
	a := c.passes[stage][0]
	start := c.now[stage]
	if need, ok := c.needs(stage, a); ok {
		at, ran := c.arrived[need]
		if !ran {
			return false
		}
		start = max(start, at)
	}
	t, took := c.times(stage, a.Chunk), 0.0
	switch a.Kind {
	case Forward:
		took = t.Forward
	case Backward:
		took = t.BackwardInput + t.BackwardWeight
	case BackwardInput:
		took = t.BackwardInput
	case BackwardWeight:
		took = t.BackwardWeight
	}
	c.now[stage], c.passes[stage] = start+took, c.passes[stage][1:]
	if a.Kind != BackwardWeight {
		c.arrived[pass{stage, a.Kind != Forward, a.Chunk, a.Microbatch}] = start + took + t.Transfer
	}
	return true
}

// needs is the pass whose result an action waits for; those at the ends of the model wait for none.
func (c *clock) needs(stage int, a Action) (pass, bool) {
	p := pass{stage, a.Kind != Forward, a.Chunk, a.Microbatch}
	switch a.Kind {
	case Forward:
		if p.stage--; p.stage < 0 {
			p.stage, p.chunk = c.stages-1, p.chunk-1
		}
	case Backward, BackwardInput:
		if p.stage++; p.stage == c.stages {
			p.stage, p.chunk = 0, p.chunk+1
		}
	default:
		return p, false
	}
	return p, p.chunk >= 0 && p.chunk < c.chunks
}
