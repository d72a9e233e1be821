package tp

import (
	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/events"
)

// Aside is a stream on which the sums and gathers of a region run beside the products on the compute stream: in the backward pass a sum beside the gradients of the weights
// that stand in front of it, and with sequence parallelism a gather beside whatever comes before its use.
type Aside struct {
	comm        comm.Communicator
	stream      kernels.Stream
	wait        func(kernels.Event)
	events      *events.Pool
	sum, gather kernels.Event // those that are under way
}

// NewAside takes the region's communicator. wait makes the compute stream wait for an event; the caller may time it.
func NewAside(dev kernels.Device, c comm.Communicator, stream kernels.Stream, wait func(kernels.Event)) (*Aside, error) {
	made, err := events.NewPool(dev)
	if err != nil {
		return nil, err
	}
	return &Aside{comm: c, stream: stream, wait: wait, events: made}, nil
}

// behind makes the calls that follow see what s has been given so far.
func (a *Aside) behind(s kernels.Stream) {
	e := a.events.Record(s)
	a.stream.Wait(e)
}

// started notes that a sum is under way.
func (a *Aside) started() { a.sum = a.events.Record(a.stream) }

// endSum holds the compute stream until the sum is there, if there is one.
func (a *Aside) endSum() {
	if a != nil {
		a.wait(a.sum)
	}
}

// Start begins a step. All streams are idle.
func (a *Aside) Start() { a.events.Start() }

// Err is the first failure to make an event.
func (a *Aside) Err() error { return a.events.Err() }

// Close frees the events. The streams are idle.
func (a *Aside) Close() { a.events.Close() }
