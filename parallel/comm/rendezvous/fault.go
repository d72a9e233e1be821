package rendezvous

import (
	"fmt"
	"sync"

	"ofpeak/parallel/comm"
)

// Fault is the state that a whole world shares: nil until someone aborts.
type Fault struct {
	once sync.Once
	err  error
	done chan struct{} // closed when err is set
}

// NewFault is for a world that has just begun.
func NewFault() *Fault { return &Fault{done: make(chan struct{})} }

// Set aborts the world; the first call decides the error, which wraps comm.ErrAborted.
func (f *Fault) Set(err error) {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", comm.ErrAborted, err)
		close(f.done)
	})
}

// Get is nil until someone aborts.
func (f *Fault) Get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// Done is closed when someone aborts.
func (f *Fault) Done() <-chan struct{} { return f.done }
