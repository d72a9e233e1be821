package commtest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/comm"
)

// Every rank hands on to its right and takes from its left in the same order, and exchanges with all others at once, which would wait forever one by one.
func testGroup(t *testing.T, most int, w World) {
	for ranks := 2; ranks <= most; ranks++ {
		w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
			p, me := c.Size(), c.Rank()
			for _, n := range []int{3, 50000} {
				src, dst := NewTensor(kernels.F32, n), NewTensor(kernels.F32, n)
				fill(src, me)
				c.Group(s, func() {
					c.Send(s, src, (me+1)%p)
					c.Recv(s, dst, (me+p-1)%p)
				})
				if err := s.Sync(); err != nil {
					return err
				}
				if err := expect(dst, func(i int) float64 { return Value((me+p-1)%p, i) }); err != nil {
					return err
				}
				all := NewTensor(kernels.F64, n*p)
				mine := NewTensor(kernels.F64, n)
				fill(mine, me)
				c.Group(s, func() {
					for r := range p {
						if r != me {
							c.Send(s, mine, r)
							c.Recv(s, all.At(r*n, n), r)
						}
					}
				})
				c.Barrier(s)
				if err := s.Sync(); err != nil {
					return err
				}
				if err := expect(all, func(i int) float64 {
					if i/n == me {
						return 0
					}
					return Value(i/n, i%n)
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// Sums are rounded alike on every rank, where the order of additions matters, and alike when they are taken again.
func testSameBits(t *testing.T, most int, w World) {
	for ranks := 2; ranks <= most; ranks++ {
		for _, dt := range []kernels.DType{kernels.F64, kernels.F32, kernels.BF16, kernels.F16} {
			w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
				const n = 3333
				var first kernels.Tensor
				for try := range 3 {
					x, all := NewTensor(dt, n), NewTensor(dt, n*c.Size())
					var size, exact float64
					for i := range n {
						Set(x, i, 1/(1+float64(i*c.Size()+c.Rank())))
					}
					c.AllReduce(s, x, x)
					c.AllGather(s, all, x)
					if err := s.Sync(); err != nil {
						return err
					}
					if err := expect(all, func(i int) float64 { return Get(x, i%n) }); err != nil {
						return fmt.Errorf("ranks differ: %w", err)
					}
					for r := range c.Size() {
						v := 1 / (1 + float64(r))
						size, exact = size+v, exact+v
					}
					if got := Get(x, 0); math.Abs(got-exact) > float64(c.Size())*dt.Eps()*size {
						return fmt.Errorf("a sum in %v is %g, want %g", dt, got, exact)
					}
					if try == 0 {
						first = x
					} else if err := expect(x, func(i int) float64 { return Get(first, i) }); err != nil {
						return fmt.Errorf("taken again: %w", err)
					}
				}
				return nil
			})
		}
	}
}

func testManyCalls(t *testing.T, most int, w World) {
	ranks := min(3, most)
	w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
		x := NewTensor(kernels.F64, 5)
		Set(x, 0, 1)
		for range 100 {
			c.AllReduce(s, x, x)
			c.Broadcast(s, x, ranks-1)
			c.Barrier(s)
			s.Do(func() error { Set(x, 0, Get(x, 0)/float64(ranks)); return nil })
		}
		if err := s.Sync(); err != nil {
			return err
		}
		return expect(x, func(i int) float64 { return max(0, float64(1-i)) })
	})
}

func testSplit(t *testing.T, most int, w World) {
	if most < 6 {
		t.Skip("needs a world of 6")
	}
	w.On(t, 6, func(c comm.Communicator, s *Stream) error {
		row, err := c.Split(c.Rank()/3, -c.Rank()) // two groups of three, in reverse order
		if err != nil {
			return err
		}
		if row.Size() != 3 || row.Rank() != 2-c.Rank()%3 {
			return fmt.Errorf("became %d of %d", row.Rank(), row.Size())
		}
		x := NewTensor(kernels.I32, 1)
		Set(x, 0, float64(c.Rank()))
		row.AllReduce(s, x, x)
		if err := s.Sync(); err != nil {
			return err
		}
		if want := float64(c.Rank()/3*9 + 3); Get(x, 0) != want {
			return fmt.Errorf("the row's sum is %g, want %g", Get(x, 0), want)
		}
		color := 0
		if c.Rank() == 4 {
			color = -1
		}
		rest, err := c.Split(color, 0)
		if err != nil {
			return err
		}
		if (rest == nil) != (c.Rank() == 4) || rest != nil && rest.Size() != 5 {
			return fmt.Errorf("got %v", rest)
		}
		return nil
	})
}

// Communicators of one world are used from several streams at once.
func testStreams(t *testing.T, most int, w World) {
	ranks := min(4, most)
	w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
		other, err := c.Split(0, c.Rank())
		if err != nil {
			return err
		}
		second := NewStream()
		defer second.Close()
		x, y := NewTensor(kernels.F32, 20000), NewTensor(kernels.I32, 7)
		fill(x, c.Rank())
		fill(y, c.Rank())
		for range 50 {
			c.Broadcast(s, x, 0)
			other.Broadcast(second, y, ranks-1)
			other.Barrier(second)
		}
		if err := errors.Join(s.Sync(), second.Sync()); err != nil {
			return err
		}
		return errors.Join(expect(x, func(i int) float64 { return Value(0, i) }), expect(y, func(i int) float64 { return Value(ranks-1, i) }))
	})
}

func testCounts(t *testing.T, most int, w World) {
	if most < 2 {
		t.Skip("needs a world of 2")
	}
	w.On(t, 2, func(c comm.Communicator, s *Stream) error {
		x, y := NewTensor(kernels.F16, 6), NewTensor(kernels.F16, 12)
		c.AllReduce(s, x, x)
		c.AllGather(s, y, x)
		c.ReduceScatter(s, x, y)
		c.Group(s, func() {
			if c.Rank() == 0 {
				c.Send(s, x, 1)
			} else {
				c.Recv(s, x, 0)
			}
		})
		n := c.Counts()
		if n.Bytes[comm.AllReduce] != 12 || n.Bytes[comm.AllGather] != 24 || n.Bytes[comm.ReduceScatter] != 24 || n.Bytes[comm.SendRecv] != 12 {
			return fmt.Errorf("counted %+v", n)
		}
		return s.Sync()
	})
}

func testClosed(t *testing.T, most int, w World) {
	w.On(t, 1, func(c comm.Communicator, s *Stream) error {
		c.Close()
		c.Barrier(s)
		if err := s.Sync(); err == nil {
			return errors.New("a closed communicator works")
		}
		return nil
	})
}

// testAbort has one rank give up while the others wait for it, in each kind of call.
func testAbort(t *testing.T, most int, w World) {
	if most < 2 {
		t.Skip("needs a world of 2")
	}
	for ranks := 2; ranks <= min(4, most); ranks++ {
		victim := ranks / 2
		calls := map[string]func(c comm.Communicator, s *Stream){
			"all-reduce": func(c comm.Communicator, s *Stream) {
				x := NewTensor(kernels.F32, 100)
				c.AllReduce(s, x, x)
			},
			"barrier": func(c comm.Communicator, s *Stream) { c.Barrier(s) },
			"recv":    func(c comm.Communicator, s *Stream) { c.Recv(s, NewTensor(kernels.F32, 1), victim) },
			"send":    func(c comm.Communicator, s *Stream) { c.Send(s, NewTensor(kernels.F32, 1), victim) },
			"split": func(c comm.Communicator, s *Stream) {
				_, err := c.Split(0, 0)
				s.Do(func() error { return err })
			},
		}
		for _, name := range sorted(calls) {
			call := calls[name]
			t.Run(fmt.Sprintf("%s/%d", name, ranks), func(t *testing.T) {
				w.On(t, ranks, func(c comm.Communicator, s *Stream) error {
					sub, err := c.Split(0, 0)
					if err != nil {
						return err
					}
					if c.Rank() == victim {
						time.Sleep(5 * time.Millisecond)
						sub.Abort(fmt.Errorf("rank %d died", victim))
						return nil
					}
					call(c, s)
					call(c, s)
					if err := s.Sync(); !errors.Is(err, comm.ErrAborted) || !strings.Contains(err.Error(), fmt.Sprintf("rank %d died", victim)) {
						return fmt.Errorf("ended with %v, not with rank %d's abort", err, victim)
					}
					return nil
				})
			})
		}
	}
}
