package local

import (
	"fmt"
	"sync"
	"sync/atomic"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// fault is the state that a whole world shares: nil until someone aborts.
type fault struct {
	once sync.Once
	err  error
	done chan struct{} // closed when err is set
}

func newFault() *fault { return &fault{done: make(chan struct{})} }

func (f *fault) set(err error) {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", comm.ErrAborted, err)
		close(f.done)
	})
}

func (f *fault) get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// barrier lets ranks go when all have come, again and again. The last one to come hands each other rank a token, and a rank takes its
// token before it can come again, so one place per rank suffices.
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

// pair is the way from one rank to another: the sender offers its tensor, the receiver copies it and says so.
type pair struct {
	offer chan kernels.Tensor
	taken chan error
}

func newPair() pair {
	return pair{offer: make(chan kernels.Tensor), taken: make(chan error)}
}
