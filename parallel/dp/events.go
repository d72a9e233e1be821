package dp

import "ofpeak/kernels"

// events are kept from step to step, and each is recorded once a step. There is always one.
type events struct {
	dev  kernels.Device
	list []kernels.Event
	used int
	err  error
}

func newEvents(dev kernels.Device) (events, error) {
	e, err := dev.NewEvent()
	return events{dev: dev, list: []kernels.Event{e}}, err
}

// record marks a stream's place with the next event. After a failure to make one, which sticks, the order of the streams is lost, and so
// is the step.
func (v *events) record(s kernels.Stream) kernels.Event {
	if v.used == len(v.list) {
		e, err := v.dev.NewEvent()
		if err != nil {
			v.err = err
			return v.list[0]
		}
		v.list = append(v.list, e)
	}
	e := v.list[v.used]
	v.used++
	s.Record(e)
	return e
}

func (v *events) close() {
	for _, e := range v.list {
		e.Close()
	}
}
