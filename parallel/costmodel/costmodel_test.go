package costmodel

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trainer"
)

func model() block.Config {
	p, _ := kernels.PrecisionNamed("fp64")
	return block.Config{C: 16, NH: 4, T: 3, L: 4, Batch: 8, Precision: p, Seed: 1}
}

// moved is what the rank that moves most moves in a step, by running it, without the sums of the loss.
func moved(t *testing.T, cfg trainer.Config, s parallel.Strategy) float64 {
	t.Helper()
	var mu sync.Mutex
	most := int64(0)
	launcher := parallel.InProcess{Open: func(int, int) (kernels.Device, error) { return ref.New(), nil }, Connect: local.New}
	err := launcher.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error {
		tr, err := trainer.New(r, cfg)
		if err != nil {
			return err
		}
		if err := tr.SetRegression(1); err != nil {
			return err
		}
		tr.TrainStep()
		rep, err := tr.Sync()
		mu.Lock()
		most = max(most, rep.CommBytes)
		mu.Unlock()
		return err
	})
	if err != nil {
		t.Fatalf("%v: %v", s, err)
	}
	return float64(most)
}

// bytewise is a table on which a step takes as many seconds as it moves bytes.
func bytewise(world int) *Table {
	t := &Table{World: world}
	for _, op := range comm.Ops {
		t.Collectives = append(t.Collectives, Collective{op, Line{0, 1}})
	}
	return t
}

// What a strategy is said to move it moves. Where several axes move, factors of the number of ranks tell them apart, so only pure strategies are held.
func TestBytesAreThoseMoved(t *testing.T) {
	const small = 64 // of losses, and of norms' gradients with sequence parallelism
	mixed := model()
	mixed.Experts = block.Experts{Count: 4, TopK: 2, Capacity: 1.5}
	long := model()
	long.T = 8
	again := model()
	again.Recompute = true
	for _, c := range []struct {
		name  string
		model block.Config
		s     parallel.Strategy
		slack float64 // of the prediction, for what is not gathered again because it is still there
	}{
		{"dp", model(), parallel.Strategy{DP: 2}, 0},
		{"dp in buckets", model(), parallel.Strategy{DP: 4, BucketBytes: 1000}, 0},
		{"zero 1", model(), parallel.Strategy{DP: 2, ZeRO: 1}, 0.03}, // padding
		{"zero 2", model(), parallel.Strategy{DP: 2, ZeRO: 2, Microbatches: 2}, 0.03},
		{"zero 3", model(), parallel.Strategy{DP: 2, ZeRO: 3, Microbatches: 2}, 0.2},
		{"tp", model(), parallel.Strategy{TP: 2, Microbatches: 2}, 0},
		{"tp, recompute", again, parallel.Strategy{TP: 2}, 0},
		{"sequence", model(), parallel.Strategy{TP: 2, Sequence: true}, 0.15}, // norms
		{"sequence, recompute", again, parallel.Strategy{TP: 2, Sequence: true}, 0.15},
		{"sequence, two parts", model(), parallel.Strategy{TP: 2, Sequence: true, Schedule: "zb-h1"}, 0.03},
		{"tp in pieces", model(), parallel.Strategy{TP: 2, Aside: true}, 0},
		{"tp in pieces, recompute", again, parallel.Strategy{TP: 2, Aside: true}, 0},
		{"tp in pieces, experts", mixed, parallel.Strategy{TP: 2, Aside: true}, 0.03}, // and gates
		{"sequence in pieces", model(), parallel.Strategy{TP: 2, Sequence: true, Aside: true}, 0.15},
		{"sequence in pieces, experts, two parts", mixed, parallel.Strategy{TP: 2, Sequence: true, Aside: true, Schedule: "zb-h1"}, 0.03},
		{"cp", long, parallel.Strategy{CP: 2}, 0},
		{"ep", mixed, parallel.Strategy{EP: 2}, 0.02}, // capacity is rounded up
		{"ep, two parts", mixed, parallel.Strategy{EP: 2, Schedule: "zb-h1"}, 0.02},
		{"sequence, experts", mixed, parallel.Strategy{TP: 2, Sequence: true}, 0.03}, // and gates
		{"sequence, experts, two parts", mixed, parallel.Strategy{TP: 2, Sequence: true, Schedule: "zb-h1"}, 0.03},
		{"ep, zero 1", mixed, parallel.Strategy{EP: 2, ZeRO: 1}, 0.05}, // and padding
		{"ep, zero 2", mixed, parallel.Strategy{EP: 2, ZeRO: 2, Microbatches: 2}, 0.05},
		{"ep, zero 3", mixed, parallel.Strategy{EP: 2, ZeRO: 3, Microbatches: 2}, 0.2},
		{"ep, recompute", func() block.Config { c := mixed; c.Recompute = true; return c }(), parallel.Strategy{EP: 2}, 0.02},
	} {
		cfg := trainer.Config{Model: c.model, Hyper: block.DefaultHyper}
		m, err := New(cfg, c.s, bytewise(c.s.Normal().Mesh().World()))
		if err != nil {
			t.Fatal(err)
		}
		got, want := m.Predict().Total, moved(t, cfg, c.s)
		if c.s.CP > 1 { // a hop's bytes are counted where they are sent and where they arrive: one hop forward and three backward in each block, keys and values of half the tokens
			got += float64(c.model.L * 4 * c.model.Batch * c.model.T / 2 * 2 * c.model.C * 8)
		}
		if math.Abs(got-want) > small+c.slack*want {
			t.Errorf("%s: said to move %g bytes, moves %g", c.name, got, want)
		}
	}
}

// random is a table of any times.
func random(r *rand.Rand, world int) *Table {
	t := &Table{World: world, Update: 1e-9 * r.Float64(), Overlap: r.Float64()}
	for _, tp := range []int{1, 2, 4, 8} {
		for _, kind := range []block.LayerKind{block.Block, block.MSEHead} {
			line := func() Line { return Line{r.Float64(), r.Float64()} }
			t.Layers = append(t.Layers, Passes{tp, kind, line(), line()})
		}
	}
	for _, op := range comm.Ops {
		t.Collectives = append(t.Collectives, Collective{op, Line{r.Float64() / 100, r.Float64() / 1e5}})
	}
	return t
}

// A prediction is the sum of its parts, lies above its bound, and grows with every time of the table.
func TestPredictions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		pick := func(of ...int) int { return of[r.IntN(len(of))] }
		s := parallel.Strategy{DP: pick(1, 2), TP: pick(1, 2, 4), PP: pick(1, 2, 4), Microbatches: pick(1, 2, 4), ZeRO: pick(0, 0, 1, 2, 3), BucketBytes: int64(pick(0, 500))}
		s.Sequence, s.Aside = s.TP > 1 && r.IntN(2) == 0, s.TP > 1 && r.IntN(2) == 0
		if s.PP > 1 {
			s.Schedule = []string{"gpipe", "1f1b", "zb-h1"}[r.IntN(3)]
		}
		cfg := trainer.Config{Model: model()}
		table := random(r, s.Normal().Mesh().World())
		m, err := New(cfg, s, table)
		if err != nil {
			continue
		}
		p := m.Predict()
		if sum := p.Compute + p.Exposed + p.Bubble + p.Optimizer; math.Abs(sum-p.Total) > 1e-9*p.Total {
			t.Errorf("%v: the parts of %+v add up to %g", s, p, sum)
		}
		if m.Bound() > p.Total*(1+1e-9) || p.Bubble < -1e-9*p.Total {
			t.Errorf("%v: bound %g of %+v", s, m.Bound(), p)
		}
		slower := *table
		slower.Layers = append([]Passes(nil), table.Layers...)
		for i := range slower.Layers {
			slower.Layers[i].Backward.Fixed++
		}
		again := cfg
		again.Model.Recompute = true
		if r, err := New(again, s, table); err == nil && r.Predict().Total <= p.Total {
			t.Errorf("%v: with recomputation a step of %g, without one of %g", s, r.Predict().Total, p.Total)
		}
		m, _ = New(cfg, s, &slower)
		if worse := m.Predict(); worse.Total <= p.Total {
			t.Errorf("%v: slower layers make a step of %g of one of %g", s, worse.Total, p.Total)
		}
	}
}

func TestThrough(t *testing.T) {
	for _, c := range []struct {
		small, took, large, tookLarge float64
		want                          Line
	}{
		{1, 3, 3, 7, Line{1, 2}},
		{1, 3, 3, 2, Line{2, 0}},   // noise
		{1, 1, 2, 5, Line{0, 2.5}}, // caches: no negative start
		{2, 8, 2, 8, Line{0, 4}},
	} {
		if got := Through(c.small, c.took, c.large, c.tookLarge); got != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}

// One block of 24 tokens and C=16, one other layer; forward passes of one second. With pieces the first half of a sum hides behind the second half of the product in front of it, and the second half of a
// gather behind the first half of the product behind it, as far as these take that long.
func TestPiecesHideForwardCommunication(t *testing.T) {
	cfg := trainer.Config{Model: model()}
	cfg.Model.L = 1
	const n, c = 24.0, 16.0
	all := 12*2*n*c*c + 2*2*8*6*c // the products' FLOPs, and attention's: 8 sequences of 6 pairs
	square := 2 * n * c * c / all
	whole := n * c * 8
	for _, test := range []struct {
		name            string
		s               parallel.Strategy
		overlap, second float64 // seconds of a call for the whole input
		want            float64
	}{
		{"whole", parallel.Strategy{TP: 2}, 1, 0.01, 0.02},
		{"fast", parallel.Strategy{TP: 2, Aside: true}, 1, 0.01, 0.01},
		{"one core for both", parallel.Strategy{TP: 2, Aside: true}, 0, 0.01, 0.02},
		{"slow", parallel.Strategy{TP: 2, Aside: true}, 1, 2, 4 - (1+4)*square/2},
		{"fast gathers", parallel.Strategy{TP: 2, Sequence: true, Aside: true}, 1, 0.01, 0.02},
		{"slow gathers", parallel.Strategy{TP: 2, Sequence: true, Aside: true}, 1, 2, 8 - (3+1+4+4)*square/2},
	} {
		table := &Table{World: 2, Overlap: test.overlap, Layers: []Passes{{TP: 2, Kind: block.Block, Forward: Line{1, 0}}}}
		for _, op := range []comm.Op{comm.AllReduce, comm.ReduceScatter, comm.AllGather} {
			table.Collectives = append(table.Collectives, Collective{op, Line{0, test.second / whole}})
		}
		m, err := New(cfg, test.s, table)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.stages[0].chunks[0].forward.Exposed; math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: %g s exposed, want %g", test.name, got, test.want)
		}
	}
}
