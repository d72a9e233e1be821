// Package paralleltest holds every parallel strategy against one device: the loss, every gradient, and the weights after three optimizer
// steps, on any device.
package paralleltest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

// gradientOf begins a gradient's name.
const gradientOf = "gradient of "

// Steps are the optimizer steps before weights are compared.
const Steps = 3

// Options say what is run.
type Options struct {
	// Open makes a rank's device.
	Open func(rank, world int) (kernels.Device, error)
	// Truth makes the device of the one rank that the others are compared with; nil: Open.
	Truth func(rank, world int) (kernels.Device, error)
	// Connect makes the communicators of a world; nil: local.New.
	Connect func(world int) []comm.Communicator
	// Precision of the models.
	Precision kernels.Precision
	// Tolerance of losses, gradients and weights, relative to the largest value of the tensor.
	Tolerance float64
	// Drift, if above 0, is the absolute tolerance of weights instead. AdamW makes a whole step of a gradient that is nothing but rounding, such
	// as a key bias's, so in narrow types weights may part by 2·LR a step.
	Drift float64
	// Cases are what is compared; nil means Cases().
	Cases []Case
}

// Case is a model under a strategy.
type Case struct {
	Name     string
	Model    block.Config
	Strategy parallel.Strategy
}

// Run compares each case with the same model on one rank that keeps all activations.
func Run(t *testing.T, o Options) {
	cases := o.Cases
	if cases == nil {
		cases = Cases()
	}
	whole := map[string]result{} // of one rank, by model
	for _, c := range cases {
		t.Run(c.Name+"/"+label(c.Strategy), func(t *testing.T) {
			c.Model.Precision = o.Precision
			one := c.Model
			one.Recompute = false
			model := fmt.Sprintf("%+v", one)
			want, done := whole[model]
			if !done {
				var err error
				if want, err = train(o.alone(), one, parallel.Strategy{}); err != nil {
					t.Fatalf("one rank: %v", err)
				}
				whole[model] = want
			}
			got, err := train(o, c.Model, c.Strategy)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, o, got, want)
		})
	}
}

// alone are the options of the one rank that the others are compared with.
func (o Options) alone() Options {
	if o.Truth != nil {
		o.Open, o.Connect = o.Truth, local.New
	}
	return o
}

func label(s parallel.Strategy) string {
	name := s.String()
	if s.BucketBytes > 0 {
		name += fmt.Sprintf(" %d bytes", s.BucketBytes)
	}
	if s.Naive {
		name += " naive"
	}
	if s.EqualStages {
		name += " equal"
	}
	return name
}

// result is what a run leaves, as dense tensors of the whole model.
type result struct {
	losses  []float64 // of each step, then of a forward pass
	tensors map[string]*whole
}

// whole is a tensor put together from the ranks' shards.
type whole struct {
	values []float64
	from   []int // the ranks that each value came from
}

// train runs a strategy on its world.
func train(o Options, model block.Config, s parallel.Strategy) (result, error) {
	var mu sync.Mutex
	res := result{tensors: map[string]*whole{}}
	launcher := parallel.InProcess{Open: o.Open, Connect: o.Connect}
	if o.Connect == nil {
		launcher.Connect = local.New
	}
	err := launcher.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error {
		t, err := trainer.New(r, trainer.Config{Model: model, Hyper: block.DefaultHyper})
		if err != nil {
			return err
		}
		if err := setBatch(t, model); err != nil {
			return err
		}
		var losses []float64
		for step := range Steps {
			t.TrainStep()
			rep, err := t.Sync()
			if err != nil {
				return err
			}
			losses = append(losses, rep.Loss)
			if step == 0 {
				if err := gather(&mu, &res, t, gradientOf, t.Gradient); err != nil {
					return err
				}
			}
		}
		t.ForwardPass()
		rep, err := t.Sync()
		if err != nil {
			return err
		}
		losses = append(losses, rep.Loss)
		if err := gather(&mu, &res, t, "", t.Weights); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if res.losses == nil {
			res.losses = losses
		}
		for i, l := range losses {
			if l != res.losses[i] {
				return fmt.Errorf("loss %d is %g here and %g on another rank", i, l, res.losses[i])
			}
		}
		return nil
	})
	return res, err
}

func setBatch(t *trainer.Trainer, model block.Config) error {
	if model.V == 0 {
		return t.SetRegression(5)
	}
	return t.SetTokens(func(seq, pos int) int32 { return int32((seq*31 + pos*pos*7 + pos) % model.V) })
}

// gather reads a rank's parameters, or their gradients, into the whole tensors. Where ranks hold the same value, it must be the same.
func gather(mu *sync.Mutex, res *result, t *trainer.Trainer, prefix string, read func(i int) ([]float64, error)) error {
	for i, p := range t.Stage.Params {
		values, err := read(i)
		if err != nil {
			return fmt.Errorf("%s%s: %w", prefix, p.Name, err)
		}
		n := len(values)
		if !p.Replicated {
			n *= t.Stage.TP
		}
		if err := put(mu, res, prefix+p.Name, n, values, p.Global); err != nil {
			return err
		}
	}
	return nil
}

func put(mu *sync.Mutex, res *result, name string, n int, values []float64, global func(int) int) error {
	mu.Lock()
	defer mu.Unlock()
	w := res.tensors[name]
	if w == nil {
		w = &whole{values: make([]float64, n), from: make([]int, n)}
		res.tensors[name] = w
	}
	for j, v := range values {
		g := global(j)
		if w.from[g] > 0 && w.values[g] != v {
			return fmt.Errorf("%s[%d] is %g here and %g on another rank", name, g, v, w.values[g])
		}
		w.values[g] = v
		w.from[g]++
	}
	return nil
}

func compare(t *testing.T, o Options, got, want result) {
	t.Helper()
	for i, l := range want.losses {
		if d := math.Abs(got.losses[i]-l) / math.Abs(l); !(d <= o.Tolerance) {
			t.Errorf("loss %d is %.17g, one rank has %.17g", i, got.losses[i], l)
		}
	}
	if last := want.losses[Steps]; !(last < want.losses[0]) {
		t.Errorf("training moved the loss from %g to %g", want.losses[0], last)
	}
	if len(got.tensors) != len(want.tensors) {
		t.Errorf("%d tensors, one rank has %d", len(got.tensors), len(want.tensors))
	}
	for name, w := range want.tensors {
		g := got.tensors[name]
		if g == nil || len(g.values) != len(w.values) {
			t.Errorf("%s is missing or of another size", name)
			continue
		}
		var scale, worst float64
		at := 0
		for j, v := range w.values {
			scale = max(scale, math.Abs(v))
			if d := math.Abs(g.values[j] - v); g.from[j] == 0 || !(d <= worst) {
				worst, at = d, j
			}
		}
		allowed := o.Tolerance * scale
		if o.Drift > 0 && !strings.HasPrefix(name, gradientOf) {
			allowed = o.Drift
		}
		if !(worst <= allowed) || g.from[at] == 0 {
			t.Errorf("%s[%d] is %g, one rank has %g", name, at, g.values[at], w.values[at])
		}
	}
}
