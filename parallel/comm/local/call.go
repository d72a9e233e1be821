package local

import (
	"fmt"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// call is an enqueued collective. Calls are used again, so that a warm communicator allocates nothing.
type call struct {
	op       comm.Op
	dst, src kernels.Tensor
	root     int // the other rank of a Send or Recv
	stream   kernels.HostStream
	c        *communicator
	body     func(*communicator, *call) error
	part     []call       // of a Group
	run      func() error // do, bound once
}

// String is the call as an error shows it.
func (k *call) String() string {
	t := k.src
	if t.None() {
		t = k.dst
	}
	if t.None() {
		return k.op.String()
	}
	return fmt.Sprintf("%v of %d %v", k.op, t.Size(), t.DType())
}

// enqueue puts a call on a stream.
func (c *communicator) enqueue(s kernels.Stream, op comm.Op, dst, src kernels.Tensor, root int, body func(*communicator, *call) error) {
	h, ok := s.(kernels.HostStream)
	if !ok {
		panic("local: the stream's device has no host memory")
	}
	c.mu.Lock()
	c.counts.Add(op, max(bytes(dst), bytes(src)))
	c.mu.Unlock()
	if c.group != nil {
		c.group.gather(call{op: op, dst: dst, src: src, root: root})
		return
	}
	k := c.take()
	k.op, k.dst, k.src, k.root, k.stream, k.body = op, dst, src, root, h, body
	h.Do(k.run)
}

// take gives a call that is not in use.
func (c *communicator) take() *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.free); n > 0 {
		k := c.free[n-1]
		c.free = c.free[:n-1]
		return k
	}
	k := &call{c: c}
	k.run = k.do
	return k
}

// do runs the call on its stream's goroutine.
func (k *call) do() error {
	c := k.c
	defer c.release(k)
	if err := c.g.fault.Get(); err != nil {
		return err
	}
	err := c.open()
	if err == nil {
		err = k.body(c, k)
	}
	if err != nil {
		c.Abort(err) // the others would wait for this call
	}
	return err
}

func (c *communicator) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return nil
}

func (c *communicator) release(k *call) {
	k.dst, k.src, k.part = kernels.Tensor{}, kernels.Tensor{}, k.part[:0]
	c.mu.Lock()
	c.free = append(c.free, k)
	c.mu.Unlock()
}

func bytes(t kernels.Tensor) int64 {
	if t.None() {
		return 0
	}
	return int64(t.Size()) * int64(t.DType().Size())
}
