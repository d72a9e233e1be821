// Package nccl connects ranks whose devices are GPUs by NVIDIA's NCCL, or what stands in for it behind driver.Collectives.
//
// A call is NCCL's own, on the stream that it is given; no rank waits for its device, nor, once NCCL has connected them, for another rank. Sums are in NCCL's order and in the operands'
// type; all ranks get the same bits. NCCL does not notice ranks that make different calls: they wait for ever, or get something else.
//
// An aborted world ends the work on the devices too, which NCCL's kernels would otherwise keep busy until the ranks come that are gone.
package nccl

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/rendezvous"
)

// stream is what the engine needs of a kernels.Stream.
type stream interface {
	kernels.PeerStream
	// Below is the stream on the driver, and its context.
	Below() (driver.Context, driver.Stream)
	// Address is where a tensor of the stream's device starts.
	Address(t kernels.Tensor) driver.Ptr
	// Guard makes every later Sync fail with what ended says, unless that is nil.
	Guard(ended func() error)
}

var errClosed = errors.New("nccl: use of a closed communicator")

// New gives what connects worlds of ranks that are goroutines of this process; communicator i belongs to rank i.
func New(library driver.Collectives) func(ranks int) []comm.Communicator {
	return func(ranks int) []comm.Communicator {
		if ranks < 1 {
			panic("nccl: a world needs at least one rank")
		}
		w := newWorld(library, library.NewID)
		all := make([]int, ranks)
		cs := make([]comm.Communicator, ranks)
		g := newGroup(w, all)
		for r := range cs {
			all[r], cs[r] = r, &communicator{g: g, place: r, rank: r, size: ranks}
		}
		return cs
	}
}

// world is what all communicators of one world share in this process.
type world struct {
	library driver.Collectives
	name    func() ([]byte, error) // of the group of all ranks
	fault   *rendezvous.Fault
	apart   comm.Fate // of a world of several processes; nil: of one
	journal *comm.Journal

	mu       sync.Mutex
	alive    map[driver.Group]bool
	watching bool
}

func newWorld(library driver.Collectives, name func() ([]byte, error)) *world {
	return &world{library: library, name: name, fault: rendezvous.NewFault(), journal: &comm.Journal{}, alive: map[driver.Group]bool{}}
}

// abort ends the world: the first call decides the error.
func (w *world) abort(err error) {
	w.fault.Set(err)
	if w.apart != nil {
		w.apart.Abort(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for g := range w.alive {
		go g.Abort() // may wait for a call that is under way; whoever closes the group waits for it
	}
}

// err is why the world was aborted, here or in another process, or nil.
func (w *world) err() error {
	if err := w.fault.Get(); err != nil || w.apart == nil {
		return err
	}
	if err := w.apart.Err(); err != nil {
		w.abort(err)
	}
	return w.fault.Get()
}

// add notes groups that have been made, and ends them if the world has ended meanwhile.
func (w *world) add(groups []driver.Group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range groups {
		if g == nil {
			continue
		}
		w.alive[g] = true
		if w.fault.Get() != nil {
			go g.Abort()
		}
	}
	if !w.watching && len(w.alive) > 0 {
		w.watching = true
		go w.watch()
	}
}

// drop closes a group.
func (w *world) drop(g driver.Group) error {
	err := g.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.alive, g)
	return err
}

// pulse is how often a world looks for failures that no call tells.
const pulse = 100 * time.Millisecond

// watch aborts the world for a failure of a link or another process, until all groups are closed.
func (w *world) watch() {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for range tick.C {
		groups := w.groups()
		if len(groups) == 0 {
			return
		}
		if w.err() != nil {
			return
		}
		for _, g := range groups {
			if err := g.Err(); err != nil {
				w.abort(w.cause(fmt.Errorf("nccl: %w", err)))
				return
			}
		}
	}
}

// word is how long a failure waits for the processes to say of which it comes. That one was killed its connections tell at once.
const word = time.Second

// cause is why the library failed: that the world has ended, of which the library only says that the group is gone, or what it says itself. Where a process is lost it may be the first
// to notice, without knowing which.
func (w *world) cause(err error) error {
	for end := time.Now().Add(word); ; time.Sleep(pulse / 10) {
		if ended := w.err(); ended != nil {
			return ended
		}
		if w.apart == nil || time.Now().After(end) {
			return err
		}
	}
}

// groups are those alive; with the last the watch ends.
func (w *world) groups() (list []driver.Group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for g := range w.alive {
		list = append(list, g)
	}
	w.watching = len(list) > 0
	return list
}
