// Package events orders the streams of a rank by events that are kept from step to step.
package events

import "ofpeak/kernels"

// Pool gives out events that are each recorded once a step. There is always one.
type Pool struct {
	dev  kernels.Device
	list []kernels.Event
	used int
	err  error
}

// NewPool starts with one event.
func NewPool(dev kernels.Device) (*Pool, error) {
	e, err := dev.NewEvent()
	return &Pool{dev: dev, list: []kernels.Event{e}}, err
}

// Record marks a stream's place with the next event. After a failure to make one, which sticks, the order of the streams is lost, and so
// is the step.
func (p *Pool) Record(s kernels.Stream) kernels.Event {
	if p.used == len(p.list) {
		e, err := p.dev.NewEvent()
		if err != nil {
			p.err = err
			return p.list[0]
		}
		p.list = append(p.list, e)
	}
	e := p.list[p.used]
	p.used++
	s.Record(e)
	return e
}

// Start takes all events back, which have completed.
func (p *Pool) Start() { p.used = 0 }

// Err is the first failure to make an event.
func (p *Pool) Err() error { return p.err }

// Close frees the events. The streams are idle.
func (p *Pool) Close() {
	for _, e := range p.list {
		if e != nil {
			e.Close()
		}
	}
}
