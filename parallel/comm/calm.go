package comm

import "time"

// busyShare of a processor is what a process that computes uses at least, even where many share it. One that only waits looks for its messages a few hundred
// times a second, and uses a tenth of that.
const busyShare = 0.03

// sampling is how far apart processor times are compared: so far that a moment's work, such as a look for messages, does not count.
const sampling = time.Second

// Calm tells since when a process has neither ended a call nor computed.
type Calm struct {
	since time.Time // zero: nothing is known yet
	at    time.Time // of the last sample
	cpu   time.Duration
	done  int64
}

// Note takes the calls that a process has ended so far and the processor time that it has used, as of now.
func (c *Calm) Note(now time.Time, done int64, cpu time.Duration) {
	switch passed := now.Sub(c.at); {
	case c.since.IsZero() || done != c.done:
		*c = Calm{since: now, at: now, cpu: cpu, done: done}
	case passed >= sampling:
		if (cpu - c.cpu).Seconds() > busyShare*passed.Seconds() {
			c.since = now
		}
		c.at, c.cpu = now, cpu
	}
}

// For is how long the process has been calm.
func (c *Calm) For(now time.Time) time.Duration {
	if c.since.IsZero() {
		return 0
	}
	return now.Sub(c.since)
}
