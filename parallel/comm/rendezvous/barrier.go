// Package rendezvous is how ranks that are goroutines of one process find each other: a barrier, an abort that reaches whoever waits, and the groups
// that a Split makes. It moves no data.
package rendezvous

import "sync/atomic"

// Barrier lets ranks go when all have come, again and again. The last one to come hands each other rank a token, and a rank takes its
// token before it can come again, so one place per rank suffices. Nobody spins: looking for the token before sleeping gained nothing on cores
// that others use too.
type Barrier struct {
	arrived *atomic.Int32
	wake    []chan struct{}
}

// NewBarrier is for so many ranks.
func NewBarrier(ranks int) Barrier {
	b := Barrier{arrived: new(atomic.Int32), wake: make([]chan struct{}, ranks)}
	for i := range b.wake {
		b.wake[i] = make(chan struct{}, 1)
	}
	return b
}

// Wait reports false if done was closed before all ranks came.
func (b Barrier) Wait(rank int, done <-chan struct{}) bool {
	if int(b.arrived.Add(1)) == len(b.wake) {
		b.arrived.Store(0)
		for i, w := range b.wake {
			if i != rank {
				w <- struct{}{}
			}
		}
		return true
	}
	select {
	case <-b.wake[rank]:
		return true
	case <-done:
		return false
	}
}
