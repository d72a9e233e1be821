// Package commtest is what every communicator on host memory must do: each collective right in every type, size and place, sums of the same
// bits on every rank, splits, and an abort that reaches every rank. It brings tensors and a stream of its own, so that it needs no device.
package commtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// World runs body as every rank of a fresh world at once, and returns the errors of the ranks that run in this process. Where ranks are processes, all
// of them call it alike; those that are no part of the world return at once.
type World func(ranks int, body func(c comm.Communicator) error) error

// Types are those that can be summed.
var Types = []kernels.DType{kernels.F64, kernels.F32, kernels.F16, kernels.BF16, kernels.I32}

// Run holds an engine to its contract, on worlds of up to so many ranks.
func Run(t *testing.T, most int, w World) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, most int, w World)
	}{
		{"collectives", testCollectives}, {"group", testGroup}, {"same bits", testSameBits}, {"many calls", testManyCalls}, {"split", testSplit},
		{"counts", testCounts}, {"closed", testClosed}, {"streams at once", testStreams},
		{"abort", testAbort}, // the last: it may leave calls behind that never end
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, most, w) })
	}
}

// On runs body with a stream in a world, and fails the test if a rank fails.
func (w World) On(t *testing.T, ranks int, body func(c comm.Communicator, s *Stream) error) {
	t.Helper()
	if err := w.try(ranks, body); err != nil {
		t.Errorf("%d ranks: %v", ranks, err)
	}
}

// try is nil if every rank here ended well within a minute.
func (w World) try(ranks int, body func(c comm.Communicator, s *Stream) error) error {
	end := make(chan error, 1)
	go func() {
		end <- w(ranks, func(c comm.Communicator) error {
			s := NewStream()
			defer s.Close()
			if err := body(c, s); err != nil {
				return fmt.Errorf("rank %d: %w", c.Rank(), err)
			}
			return nil
		})
	}()
	select {
	case err := <-end:
		return err
	case <-time.After(time.Minute):
		return errors.New("hangs")
	}
}

// Value is a small whole number, so that sums are exact in every type.
func Value(rank, i int) float64 { return float64((rank*7+i*3)%11 - 5) }

func fill(x kernels.Tensor, rank int) {
	for i := range x.Size() {
		Set(x, i, Value(rank, i))
	}
}

func expect(x kernels.Tensor, want func(i int) float64) error {
	for i := range x.Size() {
		if g, w := Get(x, i), want(i); g != w {
			return fmt.Errorf("element %d of %d is %g, want %g", i, x.Size(), g, w)
		}
	}
	return nil
}

func sumOf(p, i int) float64 {
	var sum float64
	for r := range p {
		sum += Value(r, i)
	}
	return sum
}

// testCollectives runs all sizes and types of a world in one go, since a world of processes is slow to make.
func testCollectives(t *testing.T, most int, w World) {
	for _, name := range sorted(collectives) {
		run := collectives[name]
		t.Run(name, func(t *testing.T) {
			for ranks := 1; ranks <= most; ranks++ {
				w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
					for _, dt := range Types {
						for _, n := range []int{1, 2, 15, 16, 17, 97, 1000} {
							if err := run(c, s, dt, n); err != nil {
								return fmt.Errorf("%v, n=%d: %w", dt, n, err)
							}
						}
					}
					return run(c, s, kernels.F32, 20001)
				})
			}
		})
	}
}

// sorted is the order in which all processes take the same things.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// collectives runs each collective with n elements (per rank where parts are concerned), and checks the result.
var collectives = map[string]func(c comm.Communicator, s *Stream, t kernels.DType, n int) error{
	"all-reduce": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src, dst := NewTensor(t, n), NewTensor(t, n)
		fill(src, c.Rank())
		c.AllReduce(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return errors.Join(expect(dst, func(i int) float64 { return sumOf(c.Size(), i) }),
			expect(src, func(i int) float64 { return Value(c.Rank(), i) }))
	},
	"all-reduce in place": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		x := NewTensor(t, n+6).At(3, n) // an odd offset, and guards
		fill(x, c.Rank())
		c.AllReduce(s, x, x)
		if err := s.Sync(); err != nil {
			return err
		}
		whole := kernels.Of(x.Buf, n+6)
		for _, i := range []int{0, 1, 2, n + 3, n + 4, n + 5} {
			if Get(whole, i) != 0 {
				return fmt.Errorf("wrote outside the tensor, at %d", i-3)
			}
		}
		return expect(x, func(i int) float64 { return sumOf(c.Size(), i) })
	},
	"reduce-scatter": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src, dst := NewTensor(t, n*c.Size()), NewTensor(t, n)
		fill(src, c.Rank())
		c.ReduceScatter(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return errors.Join(expect(dst, func(i int) float64 { return sumOf(c.Size(), c.Rank()*n+i) }),
			expect(src, func(i int) float64 { return Value(c.Rank(), i) }))
	},
	"reduce-scatter in place": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src := NewTensor(t, n*c.Size())
		dst := src.At(c.Rank()*n, n)
		fill(src, c.Rank())
		c.ReduceScatter(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return sumOf(c.Size(), c.Rank()*n+i) })
	},
	"all-gather": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src, dst := NewTensor(t, n), NewTensor(t, n*c.Size())
		fill(src, c.Rank())
		c.AllGather(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return Value(i/n, i%n) })
	},
	"all-gather in place": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		dst := NewTensor(t, n*c.Size())
		src := dst.At(c.Rank()*n, n)
		fill(src, c.Rank())
		c.AllGather(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return Value(i/n, i%n) })
	},
	"all-to-all": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src, dst := NewTensor(t, n*c.Size()), NewTensor(t, n*c.Size())
		fill(src, c.Rank())
		c.AllToAll(s, dst, src)
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return Value(i/n, c.Rank()*n+i%n) })
	},
	"broadcast": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		x := NewTensor(t, n)
		for root := range c.Size() {
			fill(x, c.Rank()+root)
			c.Broadcast(s, x, root)
			if err := s.Sync(); err != nil {
				return err
			}
			if err := expect(x, func(i int) float64 { return Value(2*root, i) }); err != nil {
				return err
			}
		}
		return nil
	},
	"ring of sends": func(c comm.Communicator, s *Stream, t kernels.DType, n int) error {
		src, dst, p := NewTensor(t, n), NewTensor(t, n), c.Size()
		if p == 1 {
			return nil
		}
		fill(src, c.Rank())
		send := func() { c.Send(s, src, (c.Rank()+1)%p) }
		recv := func() { c.Recv(s, dst, (c.Rank()+p-1)%p) }
		if c.Rank() == 0 {
			recv()
			send()
		} else {
			send()
			recv()
		}
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(dst, func(i int) float64 { return Value((c.Rank()+p-1)%p, i) })
	},
}
