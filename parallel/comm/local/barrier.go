package local

import "sync/atomic"

// barrier lets ranks go when all have come, again and again. The last one to come hands each other rank a token, and a rank takes its
// token before it can come again, so one place per rank suffices. Nobody spins: looking for the token before sleeping gained nothing on cores
// that others use too.
type barrier struct {
	arrived *atomic.Int32
	wake    []chan struct{}
}

func newBarrier(ranks int) barrier {
	b := barrier{arrived: new(atomic.Int32), wake: make([]chan struct{}, ranks)}
	for i := range b.wake {
		b.wake[i] = make(chan struct{}, 1)
	}
	return b
}

// wait reports false if done was closed before all ranks came.
func (b barrier) wait(rank int, done <-chan struct{}) bool {
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
