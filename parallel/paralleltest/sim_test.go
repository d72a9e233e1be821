package paralleltest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/kerneltest"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/comm/nccl"
	"ofpeak/parallel/comm/peer"
	"ofpeak/parallel/paralleltest"
	"ofpeak/parallel/trainer"
)

// quick runs a test beside others, and leaves out of runs under the race detector what takes minutes there. The devices' locks are tested in comm/peer.
// Where nothing may be skipped, such a test is to be named in the Makefile's UNRACED, for the run without.
func quick(t *testing.T) {
	t.Helper()
	switch {
	case raceDetector && os.Getenv("OFPEAK_REQUIRE") != "":
		t.Fatal("the Makefile's UNRACED does not leave this test out")
	case raceDetector:
		t.Skip("an interpreter under the race detector takes minutes")
	}
	t.Parallel()
}

// technique is one way of training, on as many simulated GPUs as its strategy has ranks.
type technique struct {
	precision string
	layout    kernels.Layout
	again     bool // recomputed activations
	sparse    bool // a library multiplies by 2:4 weights
	experts   block.Experts
	parallel.Strategy
}

var (
	twoFour = kernels.Layout{Format: kernels.Sparse24}
	blocks  = kernels.Layout{Format: kernels.BlockSparse, Block: 8, Keep: 0.5}

	switched = block.Experts{Count: 4, TopK: 1, Capacity: 1}
)

// techniques are all of them, on 1, 2 and 4 GPUs.
var techniques = []technique{
	{precision: "fp32"}, {precision: "bf16"}, {precision: "fp16"}, {precision: "fp32", layout: twoFour}, {precision: "bf16", layout: twoFour},
	{precision: "fp32", layout: blocks}, {precision: "fp32", again: true}, {precision: "tf32"}, {precision: "fp8"}, {precision: "fp8", Strategy: parallel.Strategy{DP: 2}},
	{precision: "fp32", experts: block.Experts{Count: 4, TopK: 2, Capacity: 1}}, {precision: "fp32", experts: switched, Strategy: parallel.Strategy{EP: 2}},
	{precision: "fp32", experts: switched, Strategy: parallel.Strategy{TP: 2}},
	{precision: "fp32", layout: twoFour, experts: switched, Strategy: parallel.Strategy{EP: 2}}, {precision: "bf16", layout: blocks, experts: block.Experts{Count: 2, TopK: 1, Capacity: 1}},
	{precision: "fp32", experts: switched, Strategy: parallel.Strategy{EP: 2, PP: 2, Microbatches: 2, Schedule: "zb-h1"}},
	{precision: "fp32", Strategy: parallel.Strategy{DP: 2, BucketBytes: 4096}}, {precision: "fp32", Strategy: parallel.Strategy{DP: 2, ZeRO: 1}},
	{precision: "fp32", Strategy: parallel.Strategy{DP: 2, ZeRO: 2, Microbatches: 2}}, {precision: "fp32", Strategy: parallel.Strategy{DP: 2, ZeRO: 3, BucketBytes: 4096}},
	{precision: "bf16", Strategy: parallel.Strategy{DP: 2, ZeRO: 1}}, {precision: "fp16", Strategy: parallel.Strategy{DP: 2, ZeRO: 3}},
	{precision: "fp32", layout: twoFour, Strategy: parallel.Strategy{DP: 2}}, {precision: "fp32", layout: blocks, Strategy: parallel.Strategy{DP: 2, ZeRO: 2}},
	{precision: "fp32", Strategy: parallel.Strategy{TP: 2}}, {precision: "bf16", Strategy: parallel.Strategy{TP: 2}},
	{precision: "fp32", Strategy: parallel.Strategy{PP: 2, Microbatches: 4, Schedule: "gpipe"}}, {precision: "fp32", Strategy: parallel.Strategy{PP: 2, Microbatches: 4}},
	{precision: "fp32", Strategy: parallel.Strategy{PP: 2, Microbatches: 4, Schedule: "zb-h1"}}, {precision: "fp16", Strategy: parallel.Strategy{PP: 2, Microbatches: 2}},
	{precision: "fp32", Strategy: parallel.Strategy{DP: 4, ZeRO: 3}}, {precision: "fp32", Strategy: parallel.Strategy{DP: 2, TP: 2}},
	{precision: "fp32", Strategy: parallel.Strategy{DP: 2, PP: 2, Microbatches: 2, ZeRO: 1}}, {precision: "fp32", Strategy: parallel.Strategy{TP: 2, PP: 2, Microbatches: 2}},
	{precision: "bf16", Strategy: parallel.Strategy{TP: 2, PP: 2, Microbatches: 2, Schedule: "gpipe"}},
	{precision: "fp32", Strategy: parallel.Strategy{CP: 2}}, {precision: "fp32", Strategy: parallel.Strategy{CP: 4, ZeRO: 2}}, {precision: "bf16", Strategy: parallel.Strategy{CP: 2, PP: 2, Microbatches: 2}},
	{precision: "fp32", Strategy: parallel.Strategy{CP: 2, TP: 2, Sequence: true}},
	{precision: "fp32", Strategy: parallel.Strategy{TP: 2, Aside: true}}, {precision: "bf16", again: true, Strategy: parallel.Strategy{TP: 2, Sequence: true, Aside: true}},
	{precision: "fp32", Strategy: parallel.Strategy{TP: 2, PP: 2, Sequence: true, Aside: true, Microbatches: 2, Schedule: "zb-h1"}}, {precision: "fp32", experts: switched, Strategy: parallel.Strategy{EP: 2, TP: 2, Sequence: true, Aside: true}},
	{precision: "fp32", experts: switched, Strategy: parallel.Strategy{EP: 2, ZeRO: 1}}, {precision: "fp32", experts: switched, Strategy: parallel.Strategy{EP: 2, ZeRO: 3, Microbatches: 2, BucketBytes: 4096}},
	{precision: "fp32", experts: switched, Strategy: parallel.Strategy{DP: 2, EP: 2, ZeRO: 2}}, {precision: "fp16", experts: switched, Strategy: parallel.Strategy{DP: 2, EP: 2, ZeRO: 3}},
	{precision: "bf16", experts: switched, again: true, Strategy: parallel.Strategy{EP: 2, TP: 2, Sequence: true, ZeRO: 2}}, {precision: "fp32", layout: twoFour, experts: switched, Strategy: parallel.Strategy{EP: 2, ZeRO: 3}},
}

// tolerances bound losses and gradients after the rounding of so short sums, relative to a tensor's largest value.
var tolerances = map[string]float64{"fp32": 2e-5, "tf32": 0.008, "bf16": 0.06, "fp16": 0.008, "fp8": 0.25}

func (c technique) run(t *testing.T, seed uint64, between engine) {
	p, _ := kernels.PrecisionNamed(c.precision)
	gpus := &drivertest.Tap{Driver: ptxsim.New(ptxsim.Config{Devices: 4, Seed: seed, Collectives: true, SparseProducts: c.sparse})}
	m := block.Config{C: 16, NH: 2, T: 5, L: 2, V: 8, Batch: 4, Seed: 23, Layout: c.layout, Recompute: c.again, Experts: c.experts} // a seed with which no choice of experts is a close call in 16 bits
	if c.CP > 1 || c.sparse {                                                                                                       // a library of sparse products takes multiples of 8 rows
		m.T = 8
	}
	if c.sparse {
		m.L = 4 // of which two share each slot of ZeRO's for whole weights
	}
	paralleltest.Run(t, paralleltest.Options{
		Open: simulated(gpus), Truth: openRef, Connect: between(gpus), Precision: p,
		Tolerance: tolerances[c.precision], Drift: 2*paralleltest.Steps*block.DefaultHyper.LR + p.Compute.Eps(),
		Cases: []paralleltest.Case{{Name: fmt.Sprintf("%s %s seed %d", c.precision, c.layout.Format, seed), Model: m, Strategy: c.Strategy}},
	})
	if left := gpus.Alive(); left != "" {
		t.Errorf("left on the devices: %s", left)
	}
}

// Three steps of every technique on simulated GPUs, which run what is enqueued in an order drawn from the seed, are those of the reference on one device.
func TestSimulatedGPUsTrainAsTheReference(t *testing.T) {
	quick(t)
	for i, c := range techniques {
		c.run(t, uint64(i), copies)
	}
}

// engine connects worlds of a driver's GPUs.
type engine func(d driver.Driver) (connect func(ranks int) []comm.Communicator)

func copies(driver.Driver) func(int) []comm.Communicator { return peer.New }

func library(d driver.Driver) func(int) []comm.Communicator {
	l, err := d.Collectives()
	if err != nil {
		panic(err)
	}
	return nccl.New(l)
}

// The steps are the same where a library such as NCCL moves the data, which orders nothing but its own calls: with one strategy of each kind, or all where there is time.
func TestSimulatedGPUsTrainOverALibrary(t *testing.T) {
	quick(t)
	some := []parallel.Strategy{{TP: 2, Aside: true}, {EP: 2}, {EP: 2, ZeRO: 3, Microbatches: 2, BucketBytes: 4096}, {DP: 2, BucketBytes: 4096}, {DP: 4, ZeRO: 3}, {TP: 2, PP: 2, Microbatches: 2}}
	for i, c := range techniques {
		plain := c.precision == "fp32" && c.layout.Format == kernels.Dense && c.Mesh().World() > 1
		if plain && (os.Getenv("OFPEAK_LONG") != "" || slices.Contains(some, c.Strategy)) {
			c.run(t, uint64(i), library)
		}
	}
}

// The steps are the same where a library multiplies by 2:4 weights, which it compresses anew when they change: by the optimizer, or as ZeRO gathers them into slots.
func TestSimulatedGPUsTrainOverASparseLibrary(t *testing.T) {
	quick(t)
	for i, s := range []parallel.Strategy{{DP: 2, ZeRO: 3, BucketBytes: 4096}, {DP: 2, Microbatches: 2}, {TP: 2}, {EP: 2}} {
		c := technique{precision: "fp16", layout: twoFour, Strategy: s, sparse: true}
		if s.EP > 1 {
			c.experts = block.Experts{Count: 2, TopK: 1, Capacity: 2} // eight rows of an expert for each sequence
		}
		c.run(t, uint64(i), []engine{library, copies}[i%2])
	}
}

// However the streams take turns, every technique leaves the same bits, and losses that are the reference's on one device: two orders here, twenty where there is time.
func TestSimulatedGPUsTrainAlikeInAnyOrder(t *testing.T) {
	quick(t)
	const steps = 2
	for i, c := range techniques {
		t.Run(fmt.Sprintf("%s %s %s", c.precision, c.layout.Format, label(c)), func(t *testing.T) {
			t.Parallel()
			alone := c
			alone.Strategy = parallel.Strategy{}
			truth, err := alone.train(openRef, local.New, c.small(), steps, false)
			if err != nil {
				t.Fatal(err)
			}
			var first trained
			for seed := range orders(2, 20) {
				gpus := ptxsim.New(ptxsim.Config{Devices: 4, Seed: 100*uint64(i) + seed})
				got, err := c.train(simulated(gpus), peer.New, c.small(), steps, false)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if seed == 0 {
					first = got
					kerneltest.Near(t, "losses", got.losses, truth.losses, tolerances[c.precision])
				}
				if err := got.same(first); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// orders is in how many orders something is tried: few, more where there is time, or as many as OFPEAK_ORDERS says.
func orders(few, more uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("OFPEAK_ORDERS"), 10, 64); err == nil {
		return n
	}
	if os.Getenv("OFPEAK_LONG") != "" {
		return more
	}
	return few
}

// simulated opens a rank's device on a driver.
func simulated(d driver.Driver) func(rank, world int) (kernels.Device, error) {
	return func(rank, _ int) (kernels.Device, error) { return cuda.Open(d, rank) }
}

// small is a model that a technique can split, in its precision.
func (c technique) small() block.Config {
	p, _ := kernels.PrecisionNamed(c.precision)
	m := block.Config{C: 8, NH: 2, T: 2 * max(1, c.CP), L: 2, V: 4, Batch: 4, Seed: 3, Layout: c.layout, Recompute: c.again, Experts: c.experts, Precision: p}
	if c.layout.Format == kernels.BlockSparse {
		m.C = 2 * c.layout.Block
	}
	return m
}

// dense is single precision without more than a strategy.
func dense(s parallel.Strategy) technique { return technique{precision: "fp32", Strategy: s} }

// trainOnce takes two steps of a model with the technique's strategy, and gives the loss of each.
func (c technique) trainOnce(open func(rank, world int) (kernels.Device, error), connect func(int) []comm.Communicator, m block.Config) ([]float64, error) {
	cfg := trainer.Config{Model: m, Hyper: block.DefaultHyper}
	var losses []float64
	l := parallel.InProcess{Open: open, Connect: connect}
	err := l.Run(context.Background(), c.Strategy, func(_ context.Context, r *parallel.Rank) error {
		tr, err := trainer.New(r, cfg)
		if err != nil {
			return err
		}
		if err := tr.SetTokens(func(seq, pos int) int32 { return int32((seq + pos*pos) % 4) }); err != nil {
			return err
		}
		for range 2 {
			tr.TrainStep()
			report, err := tr.Sync()
			if err != nil {
				return err
			}
			if r.ID == 0 {
				losses = append(losses, report.Loss)
			}
		}
		return nil
	})
	return losses, err
}

// Whichever call to the driver fails, on whichever rank, the run ends with that failure and leaves nothing on any device.
func TestNoFailureLeaks(t *testing.T) {
	quick(t)
	step := 101
	if os.Getenv("OFPEAK_LONG") != "" {
		step = 7
	}
	for _, c := range []struct {
		parallel.Strategy
		engine
		step int
	}{{parallel.Strategy{DP: 2, ZeRO: 2}, copies, step}, {parallel.Strategy{TP: 2}, copies, step}, {parallel.Strategy{PP: 2, Microbatches: 2}, copies, step}, {parallel.Strategy{CP: 2}, copies, step},
		{parallel.Strategy{DP: 2, ZeRO: 2}, library, 2*step + 1}, {parallel.Strategy{PP: 2, Microbatches: 2}, library, 2*step + 1}} {
		one, s, failed := dense(c.Strategy), c.Strategy, 0
		for n := 1; ; n += c.step {
			sim := ptxsim.New(ptxsim.Config{Devices: 2, Seed: uint64(n), Collectives: true})
			gpus := &drivertest.Tap{Driver: sim}
			code := []driver.Error{driver.ErrOutOfMemory, driver.ErrIllegalAddress}[n%2]
			sim.FailAt(n, code)
			err := within(time.Minute, func() error { _, err := one.trainOnce(simulated(gpus), c.engine(gpus), one.small()); return err })
			if left := gpus.Alive(); left != "" {
				t.Errorf("%s: call %d failed (%v), left on the devices: %s", s, n, err, left)
			}
			if sim.Calls() > 0 { // fewer calls than n
				break
			}
			if failed++; !errors.Is(err, code) || strings.Contains(err.Error(), "not released") {
				t.Errorf("%s: call %d failed with %v, the run with %v", s, n, code, err)
			}
		}
		if failed < 5 {
			t.Errorf("%s: only %d calls could fail", s, failed)
		}
	}
}

// Streams that do not wait for each other compute something else, or fail: the simulation is as unkind as it must be for the other tests here to mean anything.
func TestStreamsThatDoNotWaitAreFound(t *testing.T) {
	quick(t)
	for _, s := range []parallel.Strategy{{DP: 2, ZeRO: 3}, {PP: 2, Microbatches: 2}, {CP: 2}} {
		c := dense(s)
		want, err := c.trainOnce(simulated(ptxsim.New(ptxsim.Config{Devices: 2})), peer.New, c.small())
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for seed := range uint64(5) {
			gpus := &drivertest.Tap{Driver: ptxsim.New(ptxsim.Config{Devices: 2, Seed: seed}), Wait: func(int) bool { return false }}
			got, err := c.trainOnce(simulated(gpus), peer.New, c.small())
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				found++
			}
		}
		if found < 4 {
			t.Errorf("%s: of five orders without waits %d were found", s, found)
		}
	}
}
