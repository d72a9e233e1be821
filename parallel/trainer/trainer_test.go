package trainer

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/partition"
)

var (
	fp64, _  = kernels.PrecisionNamed("fp64")
	fp16, _  = kernels.PrecisionNamed("fp16")
	eight, _ = kernels.PrecisionNamed("int8")

	regression = block.Config{C: 16, NH: 2, T: 3, L: 2, Batch: 4, Precision: fp64}
	language   = block.Config{C: 16, NH: 2, T: 3, L: 2, V: 7, Batch: 4, Precision: fp64}
)

func launch(t *testing.T, model block.Config, s parallel.Strategy, body func(r *parallel.Rank, t *Trainer) error) error {
	t.Helper()
	return launchOn(func(int, int) (kernels.Device, error) { return ref.New(), nil }, Config{Model: model, Hyper: block.DefaultHyper}, s, body)
}

func launchOn(open func(int, int) (kernels.Device, error), cfg Config, s parallel.Strategy, body func(r *parallel.Rank, t *Trainer) error) error {
	l := parallel.InProcess{Open: open, Connect: local.New}
	return l.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error {
		t, err := New(r, cfg)
		if err != nil {
			return err
		}
		if cfg.Model.V > 0 {
			err = t.SetTokens(func(seq, pos int) int32 { return int32((seq + 3*pos) % cfg.Model.V) })
		} else {
			err = t.SetRegression(9)
		}
		if err != nil {
			return err
		}
		return body(r, t)
	})
}

func read(s kernels.Stream, x kernels.Tensor) []float64 {
	host := make([]float64, x.Size())
	if err := s.Download(tensor.New(tensor.WithShape(x.Shape...), tensor.WithBacking(host)), x); err != nil {
		panic(err)
	}
	return host
}

// The regression's loss is the mean over all elements of the batch, worked out here from outputs and targets.
func TestLossIsTheMean(t *testing.T) {
	err := launch(t, regression, parallel.Strategy{}, func(r *parallel.Rank, tr *Trainer) error {
		tr.ForwardPass()
		rep, err := tr.Sync()
		if err != nil {
			return err
		}
		out, want := read(r.Compute, tr.slots[0][0].Out), read(r.Compute, tr.targets[0])
		sum := 0.0
		for i := range out {
			sum += (out[i] - want[i]) * (out[i] - want[i])
		}
		if mean := sum / float64(len(out)); math.Abs(rep.Loss-mean) > 1e-12*mean || mean == 0 {
			return fmt.Errorf("loss %g, mean %g", rep.Loss, mean)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// Untrained, a language model knows nothing.
	err = launch(t, language, parallel.Strategy{}, func(_ *parallel.Rank, tr *Trainer) error {
		tr.ForwardPass()
		rep, err := tr.Sync()
		if err == nil && math.Abs(rep.Loss-math.Log(7)) > 0.1 {
			return fmt.Errorf("loss %g, want about log 7 = %g", rep.Loss, math.Log(7))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A forward-only model computes the training model's loss, however it is split, and holds no gradients.
func TestForwardOnly(t *testing.T) {
	quantized := regression
	quantized.Precision, quantized.Layout.Format = eight, kernels.Int8
	for name, model := range map[string]block.Config{"regression": regression, "language": language, "int8": quantized} {
		model.Forward, model.T = true, 4
		one := math.NaN()
		for _, s := range []parallel.Strategy{
			{}, {DP: 2}, {Microbatches: 4}, {PP: 2, Microbatches: 4}, {PP: 3, Microbatches: 4}, {DP: 2, PP: 2, Microbatches: 2}, {TP: 2}, {TP: 2, PP: 2}, {CP: 2}, {CP: 2, TP: 2, PP: 2},
		} {
			if name == "int8" && s.TP > 1 {
				continue // each rank scales its own slice
			}
			err := launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
				for range 2 {
					tr.ForwardPass()
					rep, err := tr.Sync()
					if err != nil {
						return err
					}
					if r.World == 1 && math.IsNaN(one) {
						one = rep.Loss
					}
					if !(math.Abs(rep.Loss-one) <= 1e-10*one) {
						return fmt.Errorf("loss %.17g, one rank has %.17g", rep.Loss, one)
					}
					if rep.Backward != 0 || rep.Optimizer != 0 || rep.Forward <= 0 {
						return fmt.Errorf("a forward pass took %+v", rep)
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s, %v: %v", name, s, err)
			}
		}
	}
}

// Bytes by hand: N·C = 12·16 = 192 elements of 8 bytes in the whole batch.
func TestCommBytes(t *testing.T) {
	const act, kv, loss = 192 * 8, 8 * 2 * 16 * 8, 8
	for _, c := range []struct {
		s    parallel.Strategy
		want func(tr *Trainer) int64
	}{
		{parallel.Strategy{}, func(*Trainer) int64 { return 0 }},
		{parallel.Strategy{DP: 2}, func(tr *Trainer) int64 { return int64(tr.Stage.Size())*8 + loss }},
		{parallel.Strategy{DP: 2, BucketBytes: 1}, func(tr *Trainer) int64 { return int64(tr.Stage.Size())*8 + loss }},
		// Reduce-scatter and all-gather of everything; from level 3 on, weights are gathered forward, and backward but for the layers still there.
		{parallel.Strategy{DP: 2, ZeRO: 1}, func(tr *Trainer) int64 { return 2*int64(tr.Stage.Size())*8 + loss }},
		{parallel.Strategy{DP: 2, ZeRO: 2, BucketBytes: 999}, func(tr *Trainer) int64 { return 2*int64(tr.Stage.Size())*8 + loss }},
		{parallel.Strategy{DP: 2, ZeRO: 3}, func(tr *Trainer) int64 { return 2*int64(tr.Stage.Size())*8 + loss }},
		// Two blocks, each two sums forward and two backward.
		{parallel.Strategy{TP: 2}, func(*Trainer) int64 { return 8 * act }},
		{parallel.Strategy{TP: 2, Aside: true}, func(*Trainer) int64 { return 8 * act }},
		// Two gathers and two scatters forward, four and two backward; four norms' gains and biases; the loss of each rank's tokens.
		{parallel.Strategy{TP: 2, Sequence: true}, func(*Trainer) int64 { return 2*10*act + 2*4*16*8 + loss }},
		{parallel.Strategy{TP: 2, Sequence: true, Aside: true}, func(*Trainer) int64 { return 2*10*act + 2*4*16*8 + loss }},
		// Each stage sends or receives the batch's activations and their gradients.
		{parallel.Strategy{PP: 2, Microbatches: 2}, func(*Trainer) int64 { return 2*act + loss }},
		// Two blocks, whose 8 tokens' keys and values make p-1 hops forward, p-1 backward, and their gradients p, each sent and received.
		{parallel.Strategy{CP: 2}, func(tr *Trainer) int64 { return 2*4*2*kv + int64(tr.Stage.Size())*8 + loss }},
		{parallel.Strategy{CP: 4}, func(tr *Trainer) int64 { return 2*10*2*kv + int64(tr.Stage.Size())*8 + loss }},
	} {
		model := regression
		if c.s.CP > 1 {
			model.T = 2 * c.s.CP
		}
		err := launch(t, model, c.s, func(_ *parallel.Rank, tr *Trainer) error {
			for range 2 {
				tr.TrainStep()
				rep, err := tr.Sync()
				if err != nil {
					return err
				}
				if want := c.want(tr); rep.CommBytes != want {
					return fmt.Errorf("%d bytes, want %d", rep.CommBytes, want)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v: %v", c.s, err)
		}
	}
}

// Phases are there, and do not add up to more than the step.
func TestPhases(t *testing.T) {
	for _, s := range []parallel.Strategy{{}, {DP: 2}, {DP: 2, ZeRO: 1}, {DP: 2, ZeRO: 3}, {TP: 2}, {PP: 2, Microbatches: 4}, {PP: 2, Schedule: "zb-h1"}, {DP: 2, TP: 2, PP: 2}, {CP: 2}, {CP: 2, PP: 2}} {
		model := regression
		model.T = 4
		err := launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
			tr.TrainStep()
			rep, err := tr.Sync()
			if err != nil {
				return err
			}
			sum := rep.Forward + rep.Backward + rep.Optimizer + rep.Exposed + rep.Bubble
			if rep.Forward <= 0 || rep.Backward <= 0 || rep.Optimizer <= 0 || sum > rep.Step {
				return fmt.Errorf("phases %+v", rep)
			}
			if sums := s.DP > 1 || s.TP > 1 || s.CP > 1; sums != (rep.Communication > 0) || sums != (rep.Exposed > 0) {
				return fmt.Errorf("communication of %v in %+v", s, rep)
			}
			if (s.PP > 1) != (rep.Bubble > 0) {
				return fmt.Errorf("bubble of %v in %+v", s, rep)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// If one rank of a model finds an overflow, all its ranks skip the step and halve the scale; else all apply it.
func TestOverflowConsensus(t *testing.T) {
	model := language
	model.Precision = fp16
	err := launch(t, model, parallel.Strategy{TP: 2, PP: 2}, func(r *parallel.Rank, tr *Trainer) error {
		tr.TrainStep()
		if _, err := tr.Sync(); err != nil {
			return err
		}
		before := read(r.Compute, tr.Stage.Master)
		if r.ID == 3 {
			tr.compute.Fill(tr.Stage.Grads.At(5, 1), math.Inf(1))
		}
		tr.optimize()
		if _, err := tr.Sync(); err != nil {
			return err
		}
		for i, v := range read(r.Compute, tr.Stage.Master) {
			if v != before[i] {
				return fmt.Errorf("a skipped step changed weight %d from %g to %g", i, before[i], v)
			}
		}
		scale, applied, skipped, err := tr.Scaling()
		if err != nil {
			return err
		}
		if scale != kernels.InitialScale/2 || applied != 1 || skipped != 1 {
			return fmt.Errorf("scale %g after %d steps and %d skipped", scale, applied, skipped)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCuts(t *testing.T) {
	wide := language // the head costs as much as several blocks
	wide.V, wide.L = 2000, 4
	for _, c := range []struct {
		name string
		cfg  Config
		s    parallel.Strategy
		want []int
	}{
		{"one stage", Config{Model: regression}, parallel.Strategy{}, []int{0, 3}},
		{"blocks", Config{Model: regression}, parallel.Strategy{PP: 2}, []int{0, 1, 3}},
		{"heavy head", Config{Model: wide}, parallel.Strategy{PP: 2}, []int{0, 5, 6}},
		{"equal", Config{Model: wide}, parallel.Strategy{PP: 2, EqualStages: true}, []int{0, 3, 6}},
		{"measured", Config{Model: regression, Costs: []partition.Layer{{Time: 1}, {Time: 1}, {Time: 9}}}, parallel.Strategy{PP: 2}, []int{0, 2, 3}},
	} {
		got, err := Cut(c.cfg, c.s)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

// A cut that is said to fit the limit fits it, on every rank.
func TestStagesFitTheirLimit(t *testing.T) {
	mixed := regression
	mixed.Experts = block.Experts{Count: 4, TopK: 2, Parts: 4, Capacity: 1.5}
	for _, model := range []block.Config{regression, language, mixed} {
		model.L, model.T, model.Batch = 6, 4, 8
		for _, s := range []parallel.Strategy{
			{}, {PP: 2, Microbatches: 4}, {PP: 3, Microbatches: 8}, {PP: 2, Microbatches: 4, Schedule: "gpipe"},
			{DP: 2, ZeRO: 2}, {DP: 2, PP: 2, ZeRO: 3, Microbatches: 2}, {PP: 3, Microbatches: 8, Schedule: "zb-h1"},
			{TP: 2, Sequence: true}, {TP: 2, PP: 2, Sequence: true, Microbatches: 2}, {PP: 2, Microbatches: 4, Schedule: "interleaved", Chunks: 2},
			{EP: 2, Microbatches: 2}, {CP: 2}, {CP: 2, PP: 2, ZeRO: 2, Microbatches: 2},
		} {
			if model.Experts.Count == 0 && s.EP > 1 {
				continue
			}
			low, high := int64(1), int64(1<<30)
			for low < high { // the smallest limit that has a cut
				s.StageBytes = (low + high) / 2
				if _, err := Cut(Config{Model: model}, s); err == nil {
					high = s.StageBytes
				} else {
					low = s.StageBytes + 1
				}
			}
			s.StageBytes = low
			err := launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
				tr.TrainStep()
				if _, err := tr.Sync(); err != nil {
					return err
				}
				if peak := r.Device.Memory().Peak; peak > s.StageBytes || r.ID == 0 && peak < s.StageBytes/3 {
					return fmt.Errorf("peak of %d bytes, limit %d", peak, s.StageBytes)
				}
				return nil
			})
			if err != nil {
				t.Errorf("V=%d %v: %v", model.V, s, err)
			}
			s.StageBytes--
			if err := Check(Config{Model: model}, s); err == nil || !strings.Contains(err.Error(), "raise the limit") {
				t.Errorf("V=%d %v, one byte less: %v", model.V, s, err)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	wholeGroups := experts(4, 1)
	wholeGroups.T = 4
	for want, c := range map[string]struct {
		model block.Config
		s     parallel.Strategy
	}{
		"not divisible by tp=3":          {regression, parallel.Strategy{TP: 3}},
		"use a batch of 6":               {regression, parallel.Strategy{DP: 3}},
		"cut into 4 stages":              {regression, parallel.Strategy{PP: 4}},
		"zero=2 spreads over data-":      {regression, parallel.Strategy{ZeRO: 2}},
		"zero=4 is none of":              {regression, parallel.Strategy{DP: 2, ZeRO: 4}},
		"use zero=1 or 1f1b":             {regression, parallel.Strategy{DP: 2, PP: 2, ZeRO: 2, Schedule: "zb-h1"}},
		"recomputed activations":         {block.Config{C: 16, NH: 2, T: 3, L: 2, Batch: 4, Precision: fp64, Recompute: true}, parallel.Strategy{PP: 2, Schedule: "zb-h1"}},
		"use no naive sum":               {regression, parallel.Strategy{DP: 2, ZeRO: 1, Naive: true}},
		"use one of gpipe, 1f1b, interl": {regression, parallel.Strategy{PP: 2, Schedule: "none"}},
		"tokens over tensor-parallel":    {regression, parallel.Strategy{Sequence: true}},
		"of 3 tokens is not divisible":   {regression, parallel.Strategy{DP: 2, TP: 2, Sequence: true, Microbatches: 2}},
		"chunks=2 are of ranks in an":    {regression, parallel.Strategy{PP: 2, Chunks: 2}},
		"cut into 6 stages":              {regression, parallel.Strategy{PP: 2, Chunks: 3, Schedule: "interleaved"}},
		"needs experts: give their num":  {regression, parallel.Strategy{EP: 2}},
		"T=3 does not divide into two c": {regression, parallel.Strategy{CP: 2}},
		"do not lie whole in one of the": {wholeGroups, parallel.Strategy{CP: 2}},
		"4 experts are not divisible b":  {experts(4, 1), parallel.Strategy{EP: 3}},
		"of which each token takes 3":    {experts(4, 3), parallel.Strategy{}},
		"C, NH, T, L and B must be":      {block.Config{Batch: 1}, parallel.Strategy{}},
	} {
		err := Check(Config{Model: c.model}, c.s)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line with %q", err, want)
		}
	}
}

// experts is the regression with a mixture of experts in each block.
func experts(count, topK int) block.Config {
	c := regression
	c.Batch, c.Experts = 12, block.Experts{Count: count, TopK: topK, Capacity: 1}
	return c
}

// Whatever the capacity drops is counted, on each rank for its own tokens and layers.
func TestRouting(t *testing.T) {
	for _, capacity := range []float64{0.3, 100} {
		model := experts(4, 2)
		model.Experts.Capacity = capacity
		for _, s := range []parallel.Strategy{{}, {EP: 2, Microbatches: 2}} {
			err := launch(t, model, s, func(r *parallel.Rank, tr *Trainer) error {
				for range 2 { // counts are of one step
					tr.TrainStep()
					if _, err := tr.Sync(); err != nil {
						return err
					}
				}
				got, err := tr.Routing()
				if err != nil {
					return err
				}
				// A sequence of three tokens makes six choices; one row of each expert holds four at most, and two at least, for the choices of a token differ.
				choices := float64(2 * 6 * model.Batch / r.World)
				dropped := got[kernels.RouteDropped]
				if got[kernels.RouteChoices] != choices || capacity > 1 && dropped != 0 || capacity < 1 && (dropped < choices/3 || dropped > choices*2/3) {
					return fmt.Errorf("%v of %v dropped, %v made", dropped, choices, got[kernels.RouteChoices])
				}
				if balance := got[kernels.RouteBalance]; balance <= 0 || balance > float64(4*model.L) {
					return fmt.Errorf("a load-balancing loss of %v", balance)
				}
				return nil
			})
			if err != nil {
				t.Errorf("capacity %g, %v: %v", capacity, s, err)
			}
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	open := func(rank, _ int) (kernels.Device, error) {
		d := ref.New()
		if rank == 1 {
			d.LimitMemory(1000)
		}
		return d, nil
	}
	err := launchOn(open, Config{Model: regression}, parallel.Strategy{DP: 2}, func(*parallel.Rank, *Trainer) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "rank 1: stage of layers 0 to 3") {
		t.Error(err)
	}
}

// The trainer itself allocates nothing in a warm step.
func TestStepAllocatesNothing(t *testing.T) {
	open := func(int, int) (kernels.Device, error) { return nullDevice{ref.New()}, nil }
	for _, model := range []block.Config{regression, language} {
		for _, s := range []parallel.Strategy{{}, {Microbatches: 2}, {DP: 2}, {DP: 2, ZeRO: 1}, {DP: 2, ZeRO: 3}, {TP: 2}, {TP: 2, Aside: true}, {TP: 2, Sequence: true, Aside: true}, {PP: 2, Microbatches: 4}, {PP: 2, Microbatches: 4, Schedule: "zb-h1"}, {DP: 2, TP: 2, PP: 2, Microbatches: 2}} {
			err := launchOn(open, Config{Model: model}, s, func(r *parallel.Rank, tr *Trainer) error {
				const windows, steps = 6, 20
				fewest := uint64(math.MaxUint64)
				for range windows { // in the first, caches fill
					n, err := allocations(r, tr, steps)
					if err != nil {
						return err
					}
					fewest = min(fewest, n)
				}
				if fewest >= steps { // the runtime's own are a few
					return fmt.Errorf("%d allocations in %d steps", fewest, steps)
				}
				return nil
			})
			if err != nil {
				t.Errorf("V=%d %v: %v", model.V, s, err)
			}
		}
	}
}

// allocations counts those of the whole process in so many steps of all ranks, reports included.
func allocations(r *parallel.Rank, tr *Trainer, steps int) (uint64, error) {
	var before, after runtime.MemStats
	r.All.Barrier(r.Compute)
	if err := r.Compute.Sync(); err != nil {
		return 0, err
	}
	runtime.ReadMemStats(&before)
	for range steps {
		tr.TrainStep()
		if _, err := tr.Sync(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, nil
}
