package host

import (
	"math"
	"runtime"
	"time"
)

// ClockRate is how many links of a chain of dependent multiplications and additions the calling thread's core computes in a second, at best of some
// short tries. Every link takes the same few cycles, whatever else the core could do, so the quotient of two rates is that of two clocks, also
// where the system tells nothing of them; neighbours only spoil tries.
func ClockRate() float64 { return chainRate(20_000, 30) }

// ClockGlance is ClockRate from shorter tries, some 30 µs in all, for between steps. It is a little lower, so glances are compared with glances only.
func ClockGlance() float64 { return chainRate(2_000, 10) }

func chainRate(links, tries int) float64 {
	x, shortest := uint64(time.Now().UnixNano()), time.Duration(math.MaxInt64)
	for range tries {
		begin := time.Now()
		for range links {
			x = x*6364136223846793005 + 1442695040888963407
		}
		shortest = min(shortest, time.Since(begin))
	}
	runtime.KeepAlive(x) // or the chain would be left out
	return float64(links) / shortest.Seconds()
}
