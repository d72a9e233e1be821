package cpu

import (
	"slices"
	"testing"
	"time"

	"ofpeak/kernels/cpu/team"
)

// BenchmarkWake reports how long after an event a stream runs that slept until then, while the one that recorded it goes on computing on the same core.
func BenchmarkWake(b *testing.B) {
	cores, err := team.Cores()
	if err != nil {
		b.Fatal(err)
	}
	dev, err := New(Config{Cores: cores[:1]})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	computes, err := newStream(dev)
	if err != nil {
		b.Fatal(err)
	}
	defer computes.Close()
	wakes, err := newStream(dev)
	if err != nil {
		b.Fatal(err)
	}
	defer wakes.Close()
	busy := func() error {
		for start := time.Now(); time.Since(start) < 6*time.Millisecond; {
		}
		return nil
	}
	var delays []time.Duration
	var recorded time.Time
	for b.Loop() {
		e := newEvent()
		computes.Do(busy)
		computes.Do(func() error { recorded = time.Now(); return nil })
		computes.Record(e)
		computes.Do(busy)
		wakes.Wait(e)
		wakes.Do(func() error { delays = append(delays, time.Since(recorded)); return nil })
		if err := wakes.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := computes.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(delays[len(delays)*9/10].Microseconds()), "p90-µs")
}
