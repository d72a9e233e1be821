package comm

import "time"

// busyShare of a processor is what a process that computes uses at least, even where many share it. One that only waits looks for its messages a few hundred
// times a second, and uses a tenth of that.
const busyShare = 0.03

// sampling is how far apart processor times are compared: so far that a moment's work, such as a look for messages, does not count.
const sampling = time.Second

// Calm tells since when a rank has neither ended anything nor computed.
type Calm struct {
	since time.Time // zero: nothing is known yet
	ended time.Time // anything; or since then it is watched
	at    time.Time // of the last sample
	cpu   time.Duration
	done  int64
}

// Note takes what a rank has ended so far and the processor time that its process has used, as of now.
func (c *Calm) Note(now time.Time, done int64, cpu time.Duration) {
	switch passed := now.Sub(c.at); {
	case c.since.IsZero() || done != c.done:
		*c = Calm{since: now, ended: now, at: now, cpu: cpu, done: done}
	case passed >= sampling:
		if (cpu - c.cpu).Seconds() > busyShare*passed.Seconds() {
			c.since = now
		}
		c.at, c.cpu = now, cpu
	}
}

// Still is how long the rank has ended nothing.
func (c *Calm) Still(now time.Time) time.Duration {
	if c.since.IsZero() {
		return 0
	}
	return now.Sub(c.ended)
}

// For is how long the rank has been calm, as far as it was looked at.
func (c *Calm) For() time.Duration { return c.at.Sub(c.since) }
