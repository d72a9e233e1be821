package paralleltest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/kernels/cuda/driver/drivertest"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/trainer"
)

// graphSteps are training steps, each of another batch; with graphs the second and third are launches of one.
const graphSteps = 4

// trained are the bits that a training run leaves on its ranks, and what its steps moved.
type trained struct {
	losses  []float64
	weights []float64 // of all ranks, rank by rank
	state   []float64 // the loss scale, and the steps applied and skipped
	bytes   []int64
}

// steps trains with a technique on a driver's GPUs, with graphs or without.
func (c technique) steps(gpus driver.Driver, between engine, graphs bool) (trained, error) {
	return c.train(simulated(gpus), between(gpus), c.small(), graphSteps, graphs)
}

// train takes so many steps of a model.
func (c technique) train(open func(rank, world int) (kernels.Device, error), connect func(int) []comm.Communicator, m block.Config, steps int, graphs bool) (trained, error) {
	var mu sync.Mutex
	ranks := make([]trained, c.Mesh().World())
	l := parallel.InProcess{Open: open, Connect: connect}
	err := l.Run(context.Background(), c.Strategy, func(_ context.Context, r *parallel.Rank) error {
		tr, err := trainer.New(r, trainer.Config{Model: m, Hyper: block.DefaultHyper})
		if err != nil {
			return err
		}
		var mine trained
		for step := range steps {
			if graphs && step == 3 {
				if err := tr.Uncapture(); err != nil {
					return err
				}
			}
			if graphs && step == 1 {
				if err := tr.Capture(); err != nil {
					return err
				}
			}
			if err := tr.SetTokens(func(seq, pos int) int32 { return int32((seq*31 + pos*pos*7 + pos + step) % m.V) }); err != nil {
				return err
			}
			tr.TrainStep()
			report, err := tr.Sync()
			if err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
			mine.losses, mine.bytes = append(mine.losses, report.Loss), append(mine.bytes, report.CommBytes)
		}
		for i := range tr.Stage.Params {
			values, err := tr.Weights(i)
			if err != nil {
				return err
			}
			mine.weights = append(mine.weights, values...)
		}
		scale, applied, skipped, err := tr.Scaling()
		mine.state = []float64{scale, float64(applied), float64(skipped)}
		mu.Lock()
		ranks[r.ID] = mine
		mu.Unlock()
		return err
	})
	all := trained{losses: ranks[0].losses, bytes: ranks[0].bytes}
	for _, r := range ranks {
		all.weights, all.state = append(all.weights, r.weights...), append(all.state, r.state...)
	}
	return all, err
}

// same says where two runs parted.
func (a trained) same(b trained) error {
	switch {
	case !slices.Equal(a.losses, b.losses):
		return fmt.Errorf("losses %v, not %v", a.losses, b.losses)
	case !slices.Equal(a.state, b.state):
		return fmt.Errorf("scale and counts %v, not %v", a.state, b.state)
	case !slices.Equal(a.bytes, b.bytes):
		return fmt.Errorf("bytes %v, not %v", a.bytes, b.bytes)
	case !slices.Equal(a.weights, b.weights):
		return fmt.Errorf("the weights differ")
	}
	return nil
}

func tapped(c ptxsim.Config) *drivertest.Tap { return &drivertest.Tap{Driver: ptxsim.New(c)} }

// Steps that are launches of a graph leave the bits that those leave which are enqueued call by call, of every technique; on four GPUs of two, of all where there is time.
func TestGraphsTrainAlike(t *testing.T) {
	quick(t)
	for i, c := range techniques {
		if c.Mesh().World() > 2 && os.Getenv("OFPEAK_LONG") == "" && (c.TP != 2 || c.PP != 2) {
			continue
		}
		t.Run(fmt.Sprintf("%s %s %s", c.precision, c.layout.Format, label(c)), func(t *testing.T) {
			t.Parallel()
			gpus := tapped(ptxsim.Config{Devices: 4, Seed: uint64(i)})
			want, err := c.steps(tapped(ptxsim.Config{Devices: 4, Seed: uint64(50 + i)}), copies, false)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.steps(gpus, copies, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.same(want); err != nil {
				t.Error(err)
			}
			if left := gpus.Alive(); left != "" {
				t.Errorf("left on the devices: %s", left)
			}
		})
	}
}

func label(c technique) string {
	return fmt.Sprintf("again=%t experts=%d %s", c.again, c.experts.Count, c.Strategy)
}

// some is a strategy of each kind.
var some = []parallel.Strategy{{}, {DP: 2, ZeRO: 3, Microbatches: 2}, {DP: 2, BucketBytes: 4096}, {TP: 2}, {PP: 2, Microbatches: 4}, {CP: 2}}

// In whatever order the streams take turns a graph's launches leave the same bits: some strategies in two orders here, every technique in twenty where there is time.
func TestGraphsTrainAlikeInAnyOrder(t *testing.T) {
	quick(t)
	alike := func(c technique, first, seeds uint64) {
		t.Run(fmt.Sprintf("%s %s %s", c.precision, c.layout.Format, label(c)), func(t *testing.T) {
			t.Parallel()
			want, err := c.steps(tapped(ptxsim.Config{Devices: 4}), copies, false)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range seeds {
				got, err := c.steps(tapped(ptxsim.Config{Devices: 4, Seed: first + seed}), copies, true)
				if err == nil {
					err = got.same(want)
				}
				if err != nil {
					t.Errorf("seed %d: %v", first+seed, err)
				}
			}
		})
	}
	for _, s := range some {
		alike(technique{precision: "fp32", Strategy: s}, 1, orders(2, 20))
	}
	for i, c := range techniques {
		alike(c, 100*uint64(1+i), orders(0, 20))
	}
}

// Where a library moves the data each rank has a graph of its own.
func TestGraphsTrainAlikeOverALibrary(t *testing.T) {
	quick(t)
	for i, s := range []parallel.Strategy{{DP: 2, ZeRO: 3}, {TP: 2}, {PP: 2, Microbatches: 2}, {EP: 2}} {
		c := technique{precision: "fp32", Strategy: s}
		if s.EP > 1 {
			c.experts = block.Experts{Count: 4, TopK: 1, Capacity: 1}
		}
		want, err := c.steps(tapped(ptxsim.Config{Devices: 2, Seed: 1, Collectives: true}), library, false)
		if err != nil {
			t.Fatal(err)
		}
		gpus := tapped(ptxsim.Config{Devices: 2, Seed: uint64(i), Collectives: true})
		got, err := c.steps(gpus, library, true)
		if err == nil {
			err = got.same(want)
		}
		if left := gpus.Alive(); err != nil || left != "" {
			t.Errorf("%s: %v; left on the devices: %s", s, err, left)
		}
	}
}

// A parameter that is stale when a graph is launched leaves other bits: whatever a kernel is told of a step by value, instead of in memory, is of the step that was captured. Here it is AdamW's rate, which another
// driver changes from step to step, as a schedule of rates would.
func TestStaleParametersAreFound(t *testing.T) {
	quick(t)
	c := technique{precision: "fp32"}
	run := func(graphs bool) trained {
		gpus, updates := tapped(ptxsim.Config{}), 0
		gpus.Launch = func(kernel string, params []uint64) {
			if strings.HasPrefix(kernel, "adamw_") {
				updates++
				params[6] = math.Float64bits(1e-3 / float64(updates))
			}
		}
		got, err := c.steps(gpus, copies, graphs)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if want := run(false); run(true).same(want) == nil {
		t.Error("the rate of the step that was captured served all steps, and nothing differs")
	}
	if err := run(false).same(run(false)); err != nil {
		t.Error(err)
	}
}

// Whichever call fails, the capture's and the launches' among them, the run ends with that failure, and no graph is left.
func TestNoFailureOfGraphsLeaks(t *testing.T) {
	quick(t)
	step := 97
	if os.Getenv("OFPEAK_LONG") != "" {
		step = 7
	}
	for _, s := range []parallel.Strategy{{}, {TP: 2}} {
		failed := 0
		for n := 1; ; n += step {
			sim := ptxsim.New(ptxsim.Config{Devices: 2, Seed: uint64(n)})
			gpus := &drivertest.Tap{Driver: sim}
			code := []driver.Error{driver.ErrOutOfMemory, driver.ErrIllegalAddress}[n%2]
			sim.FailAt(n, code)
			err := within(time.Minute, func() error {
				_, err := technique{precision: "fp32", Strategy: s}.steps(gpus, copies, true)
				return err
			})
			if left := gpus.Alive(); left != "" {
				t.Errorf("%s: call %d failed (%v), left on the devices: %s", s, n, err, left)
			}
			if sim.Calls() > 0 {
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
