package local

import (
	"fmt"
	"sync"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// fault is the state that a whole world shares: nil until someone aborts.
type fault struct {
	once sync.Once
	err  error
	done chan struct{} // closed when err is set

	journals []*comm.Journal // by world rank
}

func newFault(ranks int) *fault {
	f := &fault{done: make(chan struct{}), journals: make([]*comm.Journal, ranks)}
	for i := range f.journals {
		f.journals[i] = &comm.Journal{}
	}
	return f
}

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

// pair is the way from one rank to another: the sender offers its tensor, the receiver copies it and says so. Each has room for one, so that only
// waiting for the other side blocks.
type pair struct {
	offer chan kernels.Tensor
	taken chan error
}

func newPair() pair {
	return pair{offer: make(chan kernels.Tensor, 1), taken: make(chan error, 1)}
}
