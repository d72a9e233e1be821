// Package validity counts what else went on while something was measured: time that a hypervisor gave to others, threads that were ready and had no core,
// throttling, and the energy that was used. It reads the counters that the system offers, before and after, and leaves out those that it does not.
package validity

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"ofpeak/results"
)

// Counters are what the system had counted at a time. One that is not there is unknown.
type Counters struct {
	at     time.Time
	values map[key]float64
	limits map[key]float64 // at which a counter starts from zero again
}

// key names a counter: of a core, a thread or a zone.
type key struct{ what, of string }

// What is counted.
const (
	stolen    = "stolen"    // ticks of a core
	ticks     = "ticks"     // of a core, all of them
	working   = "working"   // ticks in which a core worked for some process, or for the kernel
	used      = "used"      // ns that this process's threads ran, those that have ended included
	ran       = "ran"       // ns of a thread on a core
	delayed   = "delayed"   // ns of a thread ready for one
	pressed   = "pressed"   // µs in which some task waited for a core
	throttles = "throttles" // of a core
	switches  = "switches"  // involuntary, of the process
	energy    = "energy"    // µJ of a package
)

// Read reads the counters of the cores named and of this process. root is the system's files, from /.
func Read(root fs.FS, cores []int) Counters {
	c := Counters{at: time.Now(), values: map[key]float64{}, limits: map[key]float64{}}
	c.readStat(root, cores)
	c.readThreads(root)
	c.readPressure(root)
	c.readThrottles(root, cores)
	c.readEnergy(root)
	if n, time, ok := usage(); ok {
		c.values[key{what: switches}], c.values[key{what: used}] = float64(n), float64(time)
	}
	return c
}

// Report is what happened between two readings.
type Report struct {
	StealPct            results.Opt[float64] // of the cores' time
	OthersPct           results.Opt[float64] // of the cores' time, that other processes and the kernel used
	RunDelayPct         results.Opt[float64] // of the time that the threads ran, waiting for others' threads or for each other
	PressurePct         results.Opt[float64] // of the time
	ThrottleEvents      results.Opt[int64]
	InvoluntarySwitches results.Opt[int64]
	EnergyJ             results.Opt[float64]
	EnergyBasis         string
}

// Since is what happened since an earlier reading.
func (c Counters) Since(before Counters) Report {
	var r Report
	r.StealPct = percent(c.rise(before, stolen), c.rise(before, ticks))
	r.OthersPct = c.others(before)
	r.RunDelayPct = percent(c.rise(before, delayed), c.rise(before, ran))
	r.PressurePct = percent(c.rise(before, pressed), results.Some(float64(c.at.Sub(before.at).Microseconds())))
	r.ThrottleEvents = whole(c.rise(before, throttles))
	r.InvoluntarySwitches = whole(c.rise(before, switches))
	if e, ok := c.rise(before, energy).Get(); ok {
		r.EnergyJ = results.Some(e / 1e6)
		r.EnergyBasis = "RAPL " + strings.Join(c.zones(before), "+")
	}
	return r
}

// others is the share of the cores' time in which they worked, but not for this process. What its threads used elsewhere makes it smaller.
func (c Counters) others(before Counters) results.Opt[float64] {
	worked := percent(c.rise(before, working), c.rise(before, ticks))
	cores := 0
	for k := range c.values {
		if k.what == ticks {
			cores++
		}
	}
	own := percent(c.rise(before, used), results.Some(float64(c.at.Sub(before.at).Nanoseconds()*int64(cores))))
	if !worked.Known() || !own.Known() {
		return results.Opt[float64]{}
	}
	return results.Finite(max(0, worked.Or(0)-own.Or(0)))
}

// rise is by how much the counters of a kind have risen, unless there is none in both readings.
func (c Counters) rise(before Counters, what string) results.Opt[float64] {
	sum, known := 0.0, false
	for k, v := range c.values {
		old, ok := before.values[k]
		if k.what != what || !ok {
			continue
		}
		if v < old {
			v += c.limits[k]
		}
		sum, known = sum+max(0, v-old), true
	}
	if !known {
		return results.Opt[float64]{}
	}
	return results.Some(sum)
}

func percent(part, all results.Opt[float64]) results.Opt[float64] {
	if !part.Known() || !(all.Or(0) > 0) {
		return results.Opt[float64]{}
	}
	return results.Finite(part.Or(0) / all.Or(0) * 100)
}

func whole(v results.Opt[float64]) results.Opt[int64] {
	if !v.Known() {
		return results.Opt[int64]{}
	}
	return results.Some(int64(v.Or(0)))
}

// What matters: a smaller disturbance is within what the samples' spread shows.
const (
	muchSteal  = 2.0  // percent
	muchOthers = 5.0  // percent
	muchDelay  = 5.0  // percent
	slowClock  = 0.97 // of the peak's
	muchChange = 3.0  // percent
)

// Cautions say in words what is likely to have changed a result. clock is the cores' clock over that at which the peak was measured, and changePct is
// ClockChangePct, if they are known.
// oversubscribed tells that threads had to wait for each other anyway. A thread that waits may do so for one of its own process, as a stream that communicates
// does for one that computes; so where it is known what others used, that alone counts.
func (r Report) Cautions(clock, changePct results.Opt[float64], oversubscribed bool) []string {
	var notes []string
	if v := r.StealPct.Or(0); v > muchSteal {
		notes = append(notes, fmt.Sprintf("the hypervisor gave %.0f %% of the cores' time to others", v))
	}
	switch delay := r.RunDelayPct.Or(0); {
	case r.OthersPct.Or(0) > muchOthers:
		notes = append(notes, fmt.Sprintf("other processes used %.0f %% of the cores' time", r.OthersPct.Or(0)))
	case !r.OthersPct.Known() && delay > muchDelay && !oversubscribed:
		notes = append(notes, fmt.Sprintf("threads stood ready without a core for %.0f %% of the time that they ran", delay))
	}
	if n := r.ThrottleEvents.Or(0); n > 0 {
		notes = append(notes, fmt.Sprintf("the cores throttled for heat %d times", n))
	}
	if v := clock.Or(1); v < slowClock {
		notes = append(notes, fmt.Sprintf("the clock was %.0f %% below that of the peak's measurement", (1-v)*100))
	}
	if v := changePct.Or(0); v > muchChange {
		notes = append(notes, fmt.Sprintf("the clock changed by %.0f %% while the case was stepped", v))
	}
	return notes
}
