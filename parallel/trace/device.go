package trace

import (
	"fmt"
	"time"

	"ofpeak/kernels"
)

// Device is a device whose streams can be recorded.
type Device struct {
	kernels.Device
	streams []*stream
	on      bool
	base    time.Time
	phase   Phase
	batch   int
	marked  map[kernels.Event]place // the last Record of the event
}

// place is a call: of which stream, and its number.
type place struct{ stream, call int }

// Wrap makes a device's streams recordable.
func Wrap(dev kernels.Device) *Device {
	return &Device{Device: dev, marked: map[kernels.Event]place{}}
}

// Marker is how code that enqueues tells the recorder of what follows, or a function that does nothing where dev is not wrapped. A microbatch
// of -1 is none.
func Marker(dev kernels.Device) func(p Phase, microbatch int) {
	if d, ok := dev.(*Device); ok {
		return func(p Phase, microbatch int) { d.phase, d.batch = p, microbatch }
	}
	return func(Phase, int) {}
}

// NewStream opens a stream of the wrapped device. It is a kernels.HostStream where that one is.
func (d *Device) NewStream() (kernels.Stream, error) {
	inner, err := d.Device.NewStream()
	if err != nil {
		return nil, err
	}
	s := &stream{inner: inner, dev: d, index: len(d.streams)}
	s.timed, _ = inner.(kernels.TimedStream)
	s.note = func(begin, end time.Time) { s.times = append(s.times, interval{begin, end}) }
	d.streams = append(d.streams, s)
	if host, ok := inner.(kernels.HostStream); ok {
		return &hostStream{s, host}, nil
	}
	return s, nil
}

// Start begins a recording. All streams are idle.
func (d *Device) Start() error {
	clear(d.marked)
	d.phase, d.batch = Begin, -1
	for _, s := range d.streams {
		if err := s.start(); err != nil {
			return err
		}
	}
	d.on, d.base = true, time.Now()
	return nil
}

// Stop ends the recording and returns it. All streams are idle again. names are the streams', in the order in which they were opened.
func (d *Device) Stop(names ...string) (Timeline, error) {
	d.on = false
	t := Timeline{Base: d.base, Length: time.Since(d.base)}
	for _, s := range d.streams {
		if err := s.stop(); err != nil {
			return t, err
		}
	}
	for i, s := range d.streams {
		name := fmt.Sprintf("stream %d", i)
		if i < len(names) {
			name = names[i]
		}
		t.Tracks = append(t.Tracks, Track{name, s.spans(t.Length)})
	}
	return t, nil
}
