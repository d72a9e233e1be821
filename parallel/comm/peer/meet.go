package peer

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// offer is what a rank brings to a meeting: its call, and the mark that its stream has been reached.
type offer struct {
	op       comm.Op
	dst, src kernels.Tensor
	root     int
	arrived  kernels.Event
}

// String is the call as an error shows it.
func (o offer) String() string {
	t := o.src
	if t.None() {
		t = o.dst
	}
	if t.None() {
		return o.op.String()
	}
	return fmt.Sprintf("%v of %d %v", o.op, t.Size(), t.DType())
}

// meet makes a stream go on when all ranks' streams have come: what any rank enqueued before runs before what any enqueues after. It gives what each rank
// brought, which is valid until the next meeting but one: nobody comes to that before all have left this one. ok is false where the stream has failed.
func (c *communicator) meet(s kernels.PeerStream, o offer) (all []offer, ok bool) {
	g, turn := c.g, c.meetings%2
	c.meetings++
	var err error
	if o.arrived, err = c.mark(s, &c.arrived[turn]); err != nil {
		c.stop(s, err)
		return nil, false
	}
	all = g.offers[turn]
	all[c.rank] = o
	if !g.host.Wait(c.rank, g.fault.Done()) {
		s.Fail(g.fault.Get())
		return nil, false
	}
	if err := g.mismatch(all); err != nil {
		c.stop(s, err)
		return nil, false
	}
	for r := range all {
		if r != c.rank {
			s.Wait(all[r].arrived)
		}
	}
	return all, true
}

// mark records an event, which is made at its first use. Others must not wait for one that could not be recorded.
func (c *communicator) mark(s kernels.PeerStream, e *kernels.Event) (kernels.Event, error) {
	if *e == nil {
		made, err := s.Device().NewEvent()
		if err != nil {
			return nil, err
		}
		*e = made
	}
	s.Record(*e)
	return *e, s.Err()
}

// mismatch is nil, or says which rank made another call than rank 0.
func (g *group) mismatch(all []offer) error {
	first := all[0]
	for r, o := range all {
		if o.op != first.op || o.root != first.root || !sameSize(o.dst, first.dst) || !sameSize(o.src, first.src) {
			return fmt.Errorf("peer: rank %d calls %v while rank %d calls %v: all ranks must make the same calls in the same order", g.world[r], o, g.world[0], first)
		}
	}
	return nil
}

func sameSize(a, b kernels.Tensor) bool {
	if a.None() || b.None() {
		return a.None() == b.None()
	}
	return a.DType() == b.DType() && a.Size() == b.Size()
}
