// Package paralleltest holds every parallel strategy against one device: the loss, every gradient, and the weights after three optimizer
// steps, on any device.
package paralleltest

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

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
	// Processes, unless nil, are the ranks instead, and Connect does not count. All of them call Run alike; the first compares.
	Processes comm.Processes
	// Precision of the models.
	Precision kernels.Precision
	// Tolerance of losses, gradients and weights, relative to the largest value of the tensor.
	Tolerance float64
	// Drift, if above 0, is the absolute tolerance of weights instead. AdamW makes a whole step of a gradient that is nothing but rounding, such
	// as a key bias's, so in narrow types weights may part by 2·LR a step.
	Drift float64
	// Cases are what is compared; nil means Cases().
	Cases []Case
	// Deadline, unless zero, is when the case under way fails, and no other begins: of processes that others keep off the cores someone must say so while it can be said.
	Deadline time.Time
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
	for i, c := range cases {
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
			if o.Processes == nil || o.Processes.Rank() == 0 {
				compare(t, o, got, want)
			}
		})
		if !o.Deadline.IsZero() && time.Now().After(o.Deadline) {
			t.Fatalf("time is over after %d of %d cases", i+1, len(cases))
		}
	}
}

// context ends with the deadline.
func (o Options) context() (context.Context, context.CancelFunc) {
	if o.Deadline.IsZero() {
		return context.WithCancel(context.Background())
	}
	return context.WithDeadlineCause(context.Background(), o.Deadline, errors.New("the time for all cases is over"))
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
	Losses  []float64 // of each step, then of a forward pass
	Tensors map[string]*whole
}

// whole is a tensor put together from the ranks' shards.
type whole struct {
	Values []float64
	From   []int // the ranks that each value came from
}

func (o Options) launcher() parallel.Launcher {
	switch {
	case o.Processes != nil:
		return parallel.Joined{Processes: o.Processes, Open: o.Open}
	case o.Connect != nil:
		return parallel.InProcess{Open: o.Open, Connect: o.Connect}
	}
	return parallel.InProcess{Open: o.Open, Connect: local.New}
}

// train runs a strategy on its world.
func train(o Options, model block.Config, s parallel.Strategy) (result, error) {
	var mu sync.Mutex
	res := result{Tensors: map[string]*whole{}}
	ctx, stop := o.context()
	defer stop()
	err := o.launcher().Run(ctx, s, func(_ context.Context, r *parallel.Rank) error {
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
		err = res.add(result{Losses: losses})
		mu.Unlock()
		if o.Processes == nil || err != nil {
			return err
		}
		return res.collect(r)
	})
	return res, err
}

// collect adds what the other processes have to the first's.
func (res *result) collect(r *parallel.Rank) error {
	var mine bytes.Buffer
	if err := gob.NewEncoder(&mine).Encode(res); err != nil {
		return err
	}
	all, err := r.Gather(mine.Bytes())
	if err != nil {
		return err
	}
	for _, b := range all[min(1, len(all)):] {
		var other result
		if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&other); err != nil {
			return err
		}
		if err := res.add(other); err != nil {
			return err
		}
	}
	return nil
}

// add puts another rank's result beside this one. Where both hold a value, it must be the same.
func (res *result) add(other result) error {
	if res.Losses == nil {
		res.Losses = other.Losses
	}
	for i, l := range other.Losses {
		if l != res.Losses[i] {
			return fmt.Errorf("loss %d is %g here and %g on another rank", i, l, res.Losses[i])
		}
	}
	for name, o := range other.Tensors {
		w := res.tensor(name, len(o.Values))
		for i, v := range o.Values {
			if err := w.put(name, i, v, o.From[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tensor is the whole tensor of a name.
func (res *result) tensor(name string, n int) *whole {
	w := res.Tensors[name]
	if w == nil {
		w = &whole{Values: make([]float64, n), From: make([]int, n)}
		res.Tensors[name] = w
	}
	return w
}

// put takes a value that so many ranks have.
func (w *whole) put(name string, i int, v float64, ranks int) error {
	if ranks == 0 {
		return nil
	}
	if w.From[i] > 0 && w.Values[i] != v {
		return fmt.Errorf("%s[%d] is %g here and %g on another rank", name, i, v, w.Values[i])
	}
	w.Values[i] = v
	w.From[i] += ranks
	return nil
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
	w := res.tensor(name, n)
	for j, v := range values {
		if err := w.put(name, global(j), v, 1); err != nil {
			return err
		}
	}
	return nil
}

func compare(t *testing.T, o Options, got, want result) {
	t.Helper()
	for i, l := range want.Losses {
		if d := math.Abs(got.Losses[i]-l) / math.Abs(l); !(d <= o.Tolerance) {
			t.Errorf("loss %d is %.17g, one rank has %.17g", i, got.Losses[i], l)
		}
	}
	if last := want.Losses[Steps]; !(last < want.Losses[0]) {
		t.Errorf("training moved the loss from %g to %g", want.Losses[0], last)
	}
	if len(got.Tensors) != len(want.Tensors) {
		t.Errorf("%d tensors, one rank has %d", len(got.Tensors), len(want.Tensors))
	}
	for name, w := range want.Tensors {
		g := got.Tensors[name]
		if g == nil || len(g.Values) != len(w.Values) {
			t.Errorf("%s is missing or of another size", name)
			continue
		}
		var scale, worst float64
		at := 0
		for j, v := range w.Values {
			scale = max(scale, math.Abs(v))
			if d := math.Abs(g.Values[j] - v); g.From[j] == 0 || !(d <= worst) {
				worst, at = d, j
			}
		}
		allowed := o.Tolerance * scale
		if o.Drift > 0 && !strings.HasPrefix(name, gradientOf) {
			allowed = o.Drift
		}
		if !(worst <= allowed) || g.From[at] == 0 {
			t.Errorf("%s[%d] is %g, one rank has %g", name, at, g.Values[at], w.Values[at])
		}
	}
}
