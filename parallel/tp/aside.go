package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/events"
)

// Aside is a stream on which the sums and gathers of a region run beside the products on the compute stream: in the forward pass a piece of the tokens beside the product of another,
// in the backward pass a sum beside the gradients of the weights that stand in front of it, and with sequence parallelism a gather beside whatever comes before its use.
type Aside struct {
	comm          comm.Communicator
	stream        kernels.Stream
	wait          func(kernels.Event)
	events        *events.Pool
	sums, gathers []kernels.Event // those that are under way, by piece
}

// NewAside takes the region's communicator and the most pieces of a call. wait makes the compute stream wait for an event; the caller may time it.
func NewAside(dev kernels.Device, c comm.Communicator, stream kernels.Stream, pieces int, wait func(kernels.Event)) (*Aside, error) {
	made, err := events.NewPool(dev)
	if err != nil {
		return nil, err
	}
	return &Aside{comm: c, stream: stream, wait: wait, events: made, sums: make([]kernels.Event, pieces), gathers: make([]kernels.Event, pieces)}, nil
}

// beside gives the communicator and the stream of calls that see what s has been given so far, and that s need not wait for. Without an Aside they are c and s.
func (a *Aside) beside(c comm.Communicator, s kernels.Stream) (comm.Communicator, kernels.Stream) {
	if a == nil {
		return c, s
	}
	e := a.events.Record(s)
	a.stream.Wait(e)
	return a.comm, a.stream
}

// summing notes that the sum of piece i is under way.
func (a *Aside) summing(i int) {
	if a != nil {
		a.sums[i] = a.events.Record(a.stream)
	}
}

// gathering likewise.
func (a *Aside) gathering(i int) { a.gathers[i] = a.events.Record(a.stream) }

// endSum holds the compute stream until the sum of piece i is there, if there is one.
func (a *Aside) endSum(i int) {
	if a != nil {
		a.wait(a.sums[i])
	}
}

// endGather is endSum for a gather.
func (a *Aside) endGather(i int) { a.wait(a.gathers[i]) }

// Start begins a step. All streams are idle.
func (a *Aside) Start() { a.events.Start() }

// Err is the first failure to make an event.
func (a *Aside) Err() error { return a.events.Err() }

// Close frees the events. The streams are idle.
func (a *Aside) Close() { a.events.Close() }
