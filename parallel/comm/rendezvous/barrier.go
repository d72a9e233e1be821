// Package rendezvous is how ranks that are goroutines of one process find each other: a barrier, an abort that reaches whoever waits, and the groups
// that a Split makes. It moves no data.
package rendezvous

import (
	"sync/atomic"
	"time"
)

// Barrier lets ranks go when all have come, again and again. The last one to come hands each other rank a token, and a rank takes its
// token before it can come again, so one place per rank suffices.
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
func (b Barrier) Wait(rank int, done <-chan struct{}) bool { return b.WaitPatiently(rank, done, 0) }

// WaitPatiently is Wait that looks for its token, keeping its core, for as long as patience lasts, before it sleeps. It is for ranks whose threads
// have a core each.
func (b Barrier) WaitPatiently(rank int, done <-chan struct{}, patience time.Duration) bool {
	if int(b.arrived.Add(1)) == len(b.wake) {
		b.arrived.Store(0)
		for i, w := range b.wake {
			if i != rank {
				w <- struct{}{}
			}
		}
		return true
	}
	if patience > 0 {
		look(b.wake[rank], patience)
	}
	select {
	case <-b.wake[rank]:
		return true
	case <-done:
		return false
	}
}

// looks is how often a waiter looks between two looks at the clock.
const looks = 64

// look returns when a channel holds something, or patience ends.
func look(c <-chan struct{}, patience time.Duration) {
	for start := time.Now(); time.Since(start) < patience; {
		for range looks {
			if len(c) > 0 {
				return
			}
		}
	}
}
