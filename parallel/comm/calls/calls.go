// Package calls is the front half of a communicator between ranks whose memory is the host's: it checks operands, counts bytes, notes what is under way, and
// enqueues each call on its stream. What a call then does is the engine's. A warm communicator allocates nothing.
package calls

import (
	"errors"
	"fmt"
	"sync"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Call is an enqueued collective.
type Call struct {
	Op       comm.Op
	Dst, Src kernels.Tensor
	Peer     int // root of a broadcast, or the other rank of a Send (which has a Src) or a Recv (a Dst)
	Stream   kernels.HostStream
	Part     []Call // of a Group, its Sends and Recvs; of one of these alone, itself

	front *Front
	run   func() error // do, bound once
}

// String is the call as an error shows it.
func (k *Call) String() string {
	t := k.Src
	if t.None() {
		t = k.Dst
	}
	if t.None() {
		return k.Op.String()
	}
	return fmt.Sprintf("%v of %d %v", k.Op, t.Size(), t.DType())
}

// Engine carries out calls. Its methods are called on the goroutines of several streams.
type Engine interface {
	// Run does a call and returns when it has ended on this rank. An error aborts the world.
	Run(k *Call) error
	// Err is not nil once the world is aborted.
	Err() error
	Abort(err error)
}

var errClosed = errors.New("use of a closed communicator")

// Front implements the part of comm.Communicator that enqueues.
type Front struct {
	rank, size int
	engine     Engine
	journal    *comm.Journal
	group      *Call // a Group whose calls are being gathered, by the enqueuing goroutine

	mu     sync.Mutex // guards what the enqueuing goroutine and the streams share
	counts comm.Counts
	free   []*Call
	closed bool
}

// New makes the front of a rank.
func New(rank, size int, e Engine, j *comm.Journal) Front {
	return Front{rank: rank, size: size, engine: e, journal: j}
}

// Rank is this end's place in the group.
func (f *Front) Rank() int { return f.rank }

// Size is the number of ranks.
func (f *Front) Size() int { return f.size }

// Bind has nothing to tell: every rank's memory is the host's.
func (f *Front) Bind(kernels.Stream) error { return nil }

// Journal tells what this rank's communicators do.
func (f *Front) Journal() *comm.Journal { return f.journal }

// Counts is what this rank's calls have moved so far.
func (f *Front) Counts() comm.Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// Close makes later calls of this end fail.
func (f *Front) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// enqueue puts a call on a stream, or in the group that is being gathered.
func (f *Front) enqueue(s kernels.Stream, op comm.Op, dst, src kernels.Tensor, peer int) {
	h := host(s)
	f.mu.Lock()
	f.counts.Add(op, max(bytes(dst), bytes(src)))
	f.mu.Unlock()
	if f.group != nil {
		f.group.gather(Call{Op: op, Dst: dst, Src: src, Peer: peer})
		return
	}
	k := f.take()
	k.Op, k.Dst, k.Src, k.Peer, k.Stream = op, dst, src, peer, h
	if op == comm.SendRecv {
		k.gather(Call{Op: op, Dst: dst, Src: src, Peer: peer})
	}
	h.Do(k.run)
}

func host(s kernels.Stream) kernels.HostStream {
	h, ok := s.(kernels.HostStream)
	if !ok {
		panic("comm: the stream's device has no host memory")
	}
	return h
}

// take gives a call that is not in use.
func (f *Front) take() *Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		k := f.free[n-1]
		f.free = f.free[:n-1]
		return k
	}
	k := &Call{front: f}
	k.run = k.do
	return k
}

func (f *Front) release(k *Call) {
	k.Dst, k.Src, k.Part = kernels.Tensor{}, kernels.Tensor{}, k.Part[:0]
	f.mu.Lock()
	f.free = append(f.free, k)
	f.mu.Unlock()
}

// do runs the call on its stream's goroutine.
func (k *Call) do() error {
	f := k.front
	defer f.release(k)
	if err := f.engine.Err(); err != nil {
		return err
	}
	err := f.open()
	if err == nil {
		n := f.journal.Begin(k.action())
		err = f.engine.Run(k)
		f.journal.End(n)
	}
	if err != nil {
		f.engine.Abort(err) // the others would wait for this call
	}
	return err
}

func (k *Call) action() comm.Action {
	a := comm.Action{Op: k.Op, Ranks: k.front.size}
	if t := k.Src; !t.None() {
		a.Elements, a.Type = t.Size(), t.DType()
	} else if t := k.Dst; !t.None() {
		a.Elements, a.Type = t.Size(), t.DType()
	}
	return a
}

func (f *Front) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return errClosed
	}
	return nil
}

func bytes(t kernels.Tensor) int64 {
	if t.None() {
		return 0
	}
	return int64(t.Size()) * int64(t.DType().Size())
}

// SameSize reports whether two operands, of which either may be absent, have one type and size.
func SameSize(a, b kernels.Tensor) bool {
	if a.None() || b.None() {
		return a.None() == b.None()
	}
	return a.DType() == b.DType() && a.Size() == b.Size()
}
