package peer

import (
	"errors"
	"fmt"

	"ofpeak/kernels"
)

// Capture makes one graph of what all ranks enqueue, which rank 0 launches: ranks meet by waiting for each other's events, and CUDA lets no stream wait for one of another capture.
func (c *communicator) Capture(s kernels.Stream, f func()) (kernels.Graph, error) {
	g, p := c.g, s.(kernels.PeerStream)
	ok := true
	if c.rank != 0 {
		ok = c.captured(p, f)
	} else if first, able := s.(kernels.GraphStream); !able {
		g.captureErr = fmt.Errorf("%w: the device has no graphs", kernels.ErrUnsupported)
		ok = c.together(p, nil)
	} else {
		began := false
		over := make(chan struct{})
		g.over = over
		g.graph, g.captureErr = first.Capture(func() { began, ok = true, c.captured(p, f) })
		close(over)
		if !began {
			ok = c.together(p, nil)
		}
	}
	if !ok || !c.together(p, nil) {
		if c.rank == 0 && g.graph != nil { // another rank failed meanwhile
			return nil, errors.Join(g.fault.Get(), g.graph.Close())
		}
		return nil, g.fault.Get()
	}
	if g.captureErr != nil {
		return nil, g.captureErr
	}
	return &graph{c, p}, nil
}

// captured takes the rank's stream into rank 0's capture, runs f there, and joins the stream to rank 0's again. It is false where the world has been aborted: then there is nothing more to meet for.
func (c *communicator) captured(s kernels.PeerStream, f func()) bool {
	g := c.g
	var err error
	if c.rank == 0 {
		g.captureErr = nil
		g.fork, err = c.mark(s, &c.edge)
	}
	if !c.together(s, err) {
		return false
	}
	if g.captureErr != nil {
		return true
	}
	if c.rank != 0 {
		over := g.over
		defer func() { <-over }() // until rank 0 ends the capture, failed or not, the stream is part of it
		s.Wait(g.fork)
	}
	f()
	if c.rank != 0 {
		g.joins[c.rank], err = c.mark(s, &c.edge)
	}
	if !c.together(s, err) {
		return false
	}
	if c.rank == 0 {
		for _, join := range g.joins[1:] {
			s.Wait(join)
		}
	}
	return true
}

// together waits for the other ranks on the host. A rank that has failed may have come there for another reason, or another for the failure's.
func (c *communicator) together(s kernels.PeerStream, err error) bool {
	if err != nil {
		c.stop(s, err)
		return false
	}
	c.g.host.Wait(c.rank, c.g.fault.Done())
	err = c.g.fault.Get()
	s.Fail(err)
	return err == nil
}

// graph is a rank's part of a world's graph.
type graph struct {
	c *communicator
	s kernels.PeerStream
}

// Launch holds the graph until all ranks' streams have come, and these until it has run. Only rank 0 marks that: the graph completes the other ranks' events, which must not be recorded meanwhile.
func (g *graph) Launch() {
	c := g.c
	if _, ok := c.meet(g.s, offer{}); !ok {
		return
	}
	var err error
	if c.rank == 0 {
		c.g.graph.Launch()
		c.g.fork, err = c.mark(g.s, &c.edge)
	}
	if c.together(g.s, err) && c.rank != 0 {
		g.s.Wait(c.g.fork)
	}
}

// Close releases the graph with rank 0's.
func (g *graph) Close() error {
	if g.c.rank == 0 {
		return g.c.g.graph.Close()
	}
	return nil
}
