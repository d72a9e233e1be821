package waterfall_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"ofpeak/bench/waterfall"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trace"
	"ofpeak/parallel/trainer"
)

const delay = 100 * time.Millisecond

// fault says where the delay is put: in an operator's or a copy's time on the stream, between two calls, or in a collective.
type fault struct {
	rank                         int
	mse, adamW, attention, calls bool
	weight, comm, recompute      bool
}

// faulty is a device whose streams are slow somewhere. It does not tell of its calls, so the recorder uses events, between which the
// delays lie.
type faulty struct {
	kernels.Device
	fault
}

func (f faulty) NewStream() (kernels.Stream, error) {
	s, err := f.Device.NewStream()
	if err != nil {
		return nil, err
	}
	return &slow{s.(kernels.HostStream), f.fault, 0}, nil
}

type slow struct {
	kernels.HostStream
	fault
	forwards int
}

func (s *slow) sleepIf(here bool) {
	if here {
		s.Do(func() error { time.Sleep(delay); return nil })
	}
}

func (s *slow) MSE(loss, dx, x, target kernels.Tensor, n int, state kernels.Tensor) {
	s.HostStream.MSE(loss, dx, x, target, n, state)
	s.sleepIf(s.mse)
}

func (s *slow) AdamW(a kernels.AdamWArgs) {
	s.HostStream.AdamW(a)
	s.sleepIf(s.adamW)
}

func (s *slow) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	s.HostStream.AttentionBackward(dqkv, scratch, dout, out, lse, qkv)
	s.sleepIf(s.attention)
}

func (s *slow) AttentionForward(out, lse, qkv kernels.Tensor) {
	s.forwards++
	s.HostStream.AttentionForward(out, lse, qkv)
	// The first is the teacher's; of each pair after it the second is in the backward pass.
	s.sleepIf(s.recompute && s.forwards > 1 && s.forwards%2 == 1)
}

func (s *slow) LinearBackwardWeight(dw kernels.Weight, dbias, dout, x kernels.Tensor) {
	s.HostStream.LinearBackwardWeight(dw, dbias, dout, x)
	s.sleepIf(s.weight && dw.OC == 3*dw.C) // one of the block's four
}

// slowComm sleeps in every collective of the gradients, when all ranks are there.
type slowComm struct{ comm.Communicator }

func (c slowComm) Split(color, key int) (comm.Communicator, error) {
	inner, err := c.Communicator.Split(color, key)
	return slowComm{inner}, err
}

func (c slowComm) AllReduce(s kernels.Stream, dst, src kernels.Tensor) {
	c.Communicator.AllReduce(s, dst, src)
	if src.Size() > 1 { // not the loss
		s.(kernels.HostStream).Do(func() error { time.Sleep(delay); return nil })
	}
}

// An injected delay, which is nearly all of a step, appears in the right parts, and in no other.
func TestInjectedDelays(t *testing.T) {
	one := parallel.Strategy{}
	two := parallel.Strategy{DP: 2}
	stages := parallel.Strategy{PP: 2, Microbatches: 1}
	none := -1
	d := delay.Seconds()
	for name, test := range map[string]struct {
		strategy parallel.Strategy
		fault    fault
		want     waterfall.Parts
	}{
		"slow product":               {one, fault{weight: true}, waterfall.Parts{Matmul: d}},
		"slow attention":             {one, fault{attention: true}, waterfall.Parts{Attention: d}},
		"slow loss":                  {one, fault{mse: true}, waterfall.Parts{Memory: d}},
		"slow optimizer":             {one, fault{adamW: true}, waterfall.Parts{Optimizer: d}},
		"slow recomputation":         {one, fault{recompute: true}, waterfall.Parts{Recompute: d}},
		"late call":                  {one, fault{calls: true}, waterfall.Parts{Host: d}},
		"slow communication":         {two, fault{rank: none, comm: true}, waterfall.Parts{Comm: d}},
		"slow rank":                  {two, fault{rank: 1, weight: true}, waterfall.Parts{Matmul: d / 2, Imbalance: d / 2}},
		"stalled stage":              {stages, fault{rank: 1, mse: true}, waterfall.Parts{Memory: d / 2, Bubble: d / 2}},
		"stage that ends the last":   {stages, fault{rank: 0, weight: true}, waterfall.Parts{Matmul: d / 2, Bubble: d / 2}},
		"stage whose calls are late": {stages, fault{rank: 1, calls: true}, waterfall.Parts{Host: d / 2, Bubble: d / 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wrong string
			for range 5 { // a busy machine delays other parts too
				if wrong = compareParts(profile(t, test.strategy, test.fault), test.want); wrong == "" {
					return
				}
			}
			t.Error(wrong)
		})
	}
}

// compareParts says which part lacks the delay, or has one that it should not.
func compareParts(got, want waterfall.Parts) string {
	for _, part := range []struct {
		name      string
		got, want float64
	}{
		{"matmul", got.Matmul, want.Matmul}, {"attention", got.Attention, want.Attention}, {"memory", got.Memory, want.Memory},
		{"recompute", got.Recompute, want.Recompute}, {"optimizer", got.Optimizer, want.Optimizer}, {"comm", got.Comm, want.Comm},
		{"bubble", got.Bubble, want.Bubble}, {"imbalance", got.Imbalance, want.Imbalance}, {"host", got.Host, want.Host},
	} {
		// A sleep may last longer than asked for, so shares are compared.
		if share, want := part.got/got.Total(), part.want/want.Total(); math.Abs(share-want) > 0.2 {
			return fmt.Sprintf("%s is %.2f of the step, want %.2f, of %+v", part.name, share, want, got)
		}
	}
	if got.Total() < delay.Seconds() {
		return fmt.Sprintf("the step of %.3f s has no delay", got.Total())
	}
	return ""
}

// profile records three steps of a tiny model with a fault.
func profile(t *testing.T, s parallel.Strategy, f fault) waterfall.Parts {
	model := block.Config{C: 16, NH: 2, T: 4, L: 1, Batch: 4, Recompute: f.recompute}
	if s.PP > 1 {
		model.L = 2
	}
	model.Precision, _ = kernels.PrecisionNamed("fp32")
	l := parallel.InProcess{
		Open: func(rank, _ int) (kernels.Device, error) {
			dev, err := cpu.New(cpu.Config{Threads: 1})
			mine := f
			if rank != f.rank {
				mine = fault{}
			}
			return trace.Wrap(faulty{dev, mine}), err
		},
		Connect: func(n int) []comm.Communicator {
			comms := local.New(n)
			for i := range comms {
				if f.comm {
					comms[i] = slowComm{comms[i]}
				}
			}
			return trace.Connect(comms)
		},
	}
	var mu sync.Mutex
	steps := make([]waterfall.Step, 3)
	err := l.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error {
		tr, err := trainer.New(r, trainer.Config{Model: model, Hyper: block.DefaultHyper})
		if err != nil {
			return err
		}
		if err := tr.SetRegression(1); err != nil {
			return err
		}
		dev := r.Device.(*trace.Device)
		for i := range steps {
			r.All.Barrier(r.Compute)
			if err := r.Sync(); err != nil {
				return err
			}
			if err := dev.Start(); err != nil {
				return err
			}
			if f.calls && f.rank == r.ID {
				time.Sleep(delay)
			}
			tr.TrainStep()
			if _, err := tr.Sync(); err != nil {
				return err
			}
			line, err := dev.Stop()
			if err != nil {
				return err
			}
			line.Stage = r.Coord.PP
			mu.Lock()
			steps[i] = append(steps[i], line)
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	steps = steps[1:] // the first makes the events
	shortest := min(steps[0].Length(), steps[1].Length()).Seconds()
	return waterfall.Analyze(steps, shortest, func(kernels.DType) (float64, bool) { return 1e15, true }, 0).Parts
}
