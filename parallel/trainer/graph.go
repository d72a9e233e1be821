package trainer

import (
	"fmt"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/events"
)

// captured is a pass as a graph, and what the host has to say of each launch of it.
type captured struct {
	kernels.Graph
	inferring          bool
	spans              []span
	stepStart, stepEnd int
	commBytes          int64
	edges              *events.Pool // at which the rank's streams part and meet
}

// Capture makes later training steps, or forward passes of a forward-only model, launches of one graph, with all that they compute by now: what changes from step to step lies in device memory. All ranks
// call it after a pass that ended well, which has made whatever is made at its first use. The error says why there is no graph on some rank; steps then go on as before, unless the world has been aborted.
func (t *Trainer) Capture() error {
	if t.graph != nil {
		panic("trainer: the step is captured already")
	}
	g, err := t.capture()
	all, agreed := t.agree(err == nil)
	if err == nil { // else that is the first failure
		err = agreed
	}
	if err == nil && !all {
		err = fmt.Errorf("%w: another rank's steps cannot be captured", kernels.ErrUnsupported)
	}
	if err == nil {
		t.graph = g
		return nil
	}
	g.close()
	return err
}

// Uncapture makes later steps enqueue their calls again. All ranks call it between steps.
func (t *Trainer) Uncapture() error {
	g := t.graph
	t.graph = nil
	return g.close()
}

func (t *Trainer) capture() (*captured, error) {
	edges, err := events.NewPool(t.dev)
	g := &captured{inferring: t.Stage.Forward, edges: edges}
	if err != nil {
		return g, fmt.Errorf("event: %w", err)
	}
	g.Graph, err = comm.Capture(t.rank.All, t.compute, func() {
		others := t.rank.Others()
		begin := edges.Record(t.compute)
		for _, s := range others {
			s.Wait(begin)
		}
		t.pass(g.inferring)
		for _, s := range others {
			t.compute.Wait(edges.Record(s))
		}
	})
	if err == nil {
		err = edges.Err()
	}
	g.spans, g.stepStart, g.stepEnd = append(g.spans, t.clock.spans...), t.stepStart, t.stepEnd
	g.commBytes = t.rank.Counts().Total() - t.before.Total()
	return g, err
}

// agree tells whether all ranks have what this one says it has.
func (t *Trainer) agree(have bool) (bool, error) {
	if t.rank.World == 1 {
		return have, nil
	}
	value := 0.0
	if !have {
		value = 1
	}
	t.compute.Fill(t.loss, value)
	t.rank.All.AllReduce(t.compute, t.loss, t.loss)
	missing := make([]float64, 1)
	err := t.compute.Download(tensor.New(tensor.WithShape(1), tensor.WithBacking(missing)), t.loss)
	return missing[0] == 0, err
}

// launch makes a step a launch of the graph, if there is one of it.
func (t *Trainer) launch(inferring bool) bool {
	g := t.graph
	t.launched = g != nil && g.inferring == inferring
	if !t.launched {
		return false
	}
	t.clock.spans, t.stepStart, t.stepEnd = append(t.clock.spans[:0], g.spans...), g.stepStart, g.stepEnd
	g.Launch()
	return true
}

func (g *captured) close() error {
	if g == nil {
		return nil
	}
	defer g.edges.Close()
	if g.Graph == nil {
		return nil
	}
	return g.Graph.Close()
}
