//go:build mpi

package mpi

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/calls"
)

// communicator is one rank's end of a group.
type communicator struct {
	calls.Front
	w *World
	f *fault
	h handle // nil: all processes

	mu   sync.Mutex
	free []*batch
}

func newCommunicator(w *World, f *fault, h handle, rank, size int) *communicator {
	c := &communicator{w: w, f: f, h: h}
	c.Front = calls.New(rank, size, c, f.journal)
	return c
}

// Err is why the world was aborted, or nil.
func (c *communicator) Err() error { return c.f.get() }

// Abort makes every communicator of this world fail with err, on all processes. The first call decides the error.
func (c *communicator) Abort(err error) { c.w.abort(c.f, err, false) }

// Split groups the ranks by color; see comm.Communicator.
func (c *communicator) Split(color, key int) (comm.Communicator, error) {
	s, err := c.split(color, key)
	if s == nil || err != nil {
		return nil, err
	}
	return s, nil
}

// split waits for all ranks in a way that an abort ends, before MPI waits for them in its own.
func (c *communicator) split(color, key int) (*communicator, error) {
	if err := c.f.get(); err != nil {
		return nil, err
	}
	n := c.f.journal.Begin(comm.Action{Op: comm.Barrier, Ranks: c.Size()})
	err := c.do(comm.Barrier, nil)
	c.f.journal.End(n)
	if err != nil {
		return nil, err
	}
	h, rank, size, err := c.w.lib.split(c.h, color, key)
	if h == nil || err != nil {
		return nil, err
	}
	c.f.keep(h)
	return newCommunicator(c.w, c.f, h, rank, size), nil
}

// Run carries out a call; see calls.Engine.
func (c *communicator) Run(k *calls.Call) error {
	parts := k.Part
	if k.Op == comm.SendRecv && len(parts) == 0 {
		return nil // an empty group
	}
	return c.do(k.Op, k)
}

// batch is what goes to MPI at once.
type batch struct {
	calls []cCall
	why   reason
	pins  runtime.Pinner // MPI has the addresses of memory that may be Go's
}

// do starts a call (a barrier, if there is none) or all parts of a group, and waits. When the world is aborted MPI may still use the operands: they
// stay where they are for good.
func (c *communicator) do(op comm.Op, k *calls.Call) error {
	b := c.take()
	switch {
	case k == nil:
		b.calls = append(b.calls, newCall(op, false, nil, nil, 0, 0, 0))
	case op == comm.SendRecv:
		for i := range k.Part {
			c.add(b, &k.Part[i])
		}
	default:
		c.add(b, k)
	}
	return c.finish(b, c.patience(k))
}

// patience is how long the wait for a call may keep its core: as long as its stream says, where every rank of this host can have one.
func (c *communicator) patience(k *calls.Call) time.Duration {
	if k == nil || c.w.crowded() {
		return 0
	}
	if s, ok := k.Stream.(kernels.PatientStream); ok {
		return s.Patience()
	}
	return 0
}

func (c *communicator) finish(b *batch, patience time.Duration) error {
	stopped, err := c.w.lib.run(c.h, b, patience, c.f.stop)
	if stopped {
		abandon(b)
		return c.f.get()
	}
	if err != nil {
		return fmt.Errorf("rank %d of %d: %w", c.Rank(), c.Size(), err)
	}
	clear(b.calls) // before what they point to is let go
	b.calls = b.calls[:0]
	b.pins.Unpin()
	c.give(b)
	return nil
}

// send broadcasts host memory, []int32 or []byte, from the first process.
func (c *communicator) send(data any) error {
	b := &batch{}
	switch d := data.(type) {
	case []int32:
		b.pins.Pin(&d[0])
		b.calls = append(b.calls, newCall(comm.Broadcast, false, unsafe.Pointer(&d[0]), nil, len(d), kernels.I32, 0))
	case []byte:
		b.pins.Pin(&d[0])
		b.calls = append(b.calls, newCall(comm.Broadcast, false, unsafe.Pointer(&d[0]), nil, len(d), kernels.U8, 0))
	}
	return c.finish(b, 0)
}

// add makes a call of MPI's.
func (c *communicator) add(b *batch, k *calls.Call) {
	n, t := 0, kernels.DType(0)
	for _, x := range []kernels.Tensor{k.Dst, k.Src} {
		if !x.None() && (n == 0 || x.Size() < n) {
			n, t = x.Size(), x.DType()
		}
	}
	if k.Op == comm.AllToAll {
		n /= c.Size()
	}
	sends := k.Op == comm.SendRecv && !k.Src.None()
	b.calls = append(b.calls, newCall(k.Op, sends, b.address(k.Dst), b.address(k.Src), n, t, k.Peer))
}

// address pins an operand.
func (b *batch) address(t kernels.Tensor) unsafe.Pointer {
	if t.None() || t.Size() == 0 {
		return nil
	}
	var p unsafe.Pointer
	switch d := t.Buf.(kernels.HostBuffer).Data().(type) {
	case []float64:
		p = unsafe.Pointer(&d[t.Off])
	case []float32:
		p = unsafe.Pointer(&d[t.Off])
	case []uint16:
		p = unsafe.Pointer(&d[t.Off])
	case []int32:
		p = unsafe.Pointer(&d[t.Off])
	case []int8:
		p = unsafe.Pointer(&d[t.Off])
	case []uint8:
		p = unsafe.Pointer(&d[t.Off])
	default:
		panic(errors.New("mpi: a buffer of no type"))
	}
	b.pins.Pin(p)
	return p
}

func (c *communicator) take() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		b := c.free[n-1]
		c.free = c.free[:n-1]
		return b
	}
	return &batch{}
}

func (c *communicator) give(b *batch) {
	c.mu.Lock()
	c.free = append(c.free, b)
	c.mu.Unlock()
}
