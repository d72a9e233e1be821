package team

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	handoffTrips = 100 // there and back, of a try
	handoffTries = 20
	handoffLimit = 20 * time.Millisecond // of all tries: neighbours may hold a core
)

// Handoff is the ns that it takes one core to see what another has written: half of the time in which a line of memory goes there and back, at best of some
// short tries, half a millisecond in all. It tells how far apart two cores are, which in a virtual machine changes when its host moves them. It is not known
// where a core cannot be had.
func Handoff(a, b int) (ns float64, known bool) {
	var ball atomic.Int64
	limit := time.Now().Add(handoffLimit)
	returned, shortest := make(chan struct{}), time.Duration(math.MaxInt64)
	go func() {
		defer close(returned)
		if Pin(b) != nil {
			return
		}
		for i := int64(0); i < handoffTries*handoffTrips && await(&ball, 2*i+1, limit); i++ {
			ball.Store(2*i + 2)
		}
	}()
	served := make(chan struct{})
	go func() {
		defer close(served)
		if Pin(a) != nil {
			return
		}
		for try := range int64(handoffTries) {
			begin := time.Now()
			for i := range int64(handoffTrips) {
				done := 2 * (try*handoffTrips + i + 1)
				ball.Store(done - 1)
				if !await(&ball, done, limit) {
					return
				}
			}
			shortest = min(shortest, time.Since(begin))
		}
	}()
	<-served
	<-returned
	if shortest == math.MaxInt64 {
		return 0, false
	}
	return shortest.Seconds() * 1e9 / (2 * handoffTrips), true
}

// await looks for a number until the limit.
func await(ball *atomic.Int64, number int64, limit time.Time) bool {
	for looks := 1; ball.Load() != number; looks++ {
		if looks%1024 == 0 && time.Now().After(limit) {
			return false
		}
	}
	return true
}
