// Package trainer composes the parallel techniques around one block.Stage: it cuts the model for a rank's place in the mesh, and runs
// training steps or forward passes of the whole world.
//
// Losses divide by the global count, so gradients just add up over microbatches and data-parallel ranks, and every strategy computes one
// device's numbers. It measures nothing but what events on its own streams tell; statistics over steps are the caller's.
package trainer

import (
	"fmt"
	"slices"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/cp"
	"ofpeak/parallel/dp"
	"ofpeak/parallel/partition"
	"ofpeak/parallel/pp"
	"ofpeak/parallel/tp"
	"ofpeak/parallel/trace"
)

// Config is one training run, the same on every rank.
type Config struct {
	// Model is the whole model. Its Batch is the global batch; TP, TPRank, CP, CPRank, Lo and Hi are set by the strategy.
	Model block.Config
	Hyper block.Hyper
	// Costs of the model's layers on one rank, for one microbatch, where they were measured; nil: block's cost model.
	Costs []partition.Layer
}

// Trainer is one rank's part of a run. Its memory is freed when the rank ends.
type Trainer struct {
	// Stage is this rank's part of the model.
	Stage *block.Stage
	// Cuts are the first layers of the pipeline's stages, followed by the number of layers. Chunk c of rank r is stage c·PP+r.
	Cuts []int

	rank    *parallel.Rank
	dev     kernels.Device
	compute kernels.Stream
	pipe    kernels.Stream
	clock   clock
	mark    func(p trace.Phase, microbatch int) // tells a recorder what follows

	training, inference []pp.Action
	microbatches        int
	count               int // loss terms of the global batch

	tp       block.Region // nil on one tensor-parallel rank
	aside    *tp.Aside    // nil where no call of theirs goes on beside products
	partials *tp.Partials // with sequence parallelism
	ring     *cp.Ring     // nil on one context-parallel rank
	reducer  dp.Reducer   // nil on one data-parallel rank
	sharded  *dp.Sharded  // the reducer, if it is ZeRO
	update   kernels.AdamWArgs
	found    kernels.Tensor // the overflow flag in the stage's state
	loss     kernels.Tensor // (1), the global mean
	lossHost *tensor.Dense
	lossMean []float64 // lossHost's backing

	slots      [][]*block.Acts  // by chunk; microbatch k uses slot k mod len
	grads      []kernels.Tensor // (S,C), the activation gradients, taken in turns
	inputs     []kernels.Tensor // by microbatch; first stage only
	targets    []kernels.Tensor // by microbatch; last stage only
	outputs    []kernels.Tensor // (S,C), by microbatch; last stage that keeps them only
	pipeEvents pipeEvents
	bufs       []kernels.Buffer
	graph      *captured // nil: none

	// Of the step under way:
	inferring          bool
	begun              int   // backward passes enqueued
	passes             []int // by microbatch, chunk after chunk: its number among them
	stepStart, stepEnd int   // marks of the clock
	before             comm.Counts
	launched           bool // as a graph
}

// Check is nil if the strategy can split this run.
func Check(cfg Config, s parallel.Strategy) error {
	s = s.Normal()
	if err := s.Check(s.Mesh().World(), cfg.Model.Batch); err != nil {
		return err
	}
	c := Microbatch(cfg.Model, s)
	if err := c.Check(); err != nil {
		return err
	}
	if cfg.Model.Recompute && s.Schedule == "zb-h1" {
		return fmt.Errorf("recomputed activations are gone before the second part of %s's backward pass: use 1f1b", s.Schedule)
	}
	_, err := Cut(cfg, s)
	return err
}

// Microbatch is the model as one tensor- and context-parallel rank would run a microbatch of it without a pipeline.
func Microbatch(model block.Config, s parallel.Strategy) block.Config {
	model.Experts.Ranks, model.Experts.Groups = s.EP, model.Batch*max(model.Experts.Parts, 1)
	model.Batch /= s.DP * s.EP * s.Microbatches
	model.TP, model.TPRank, model.CP, model.CPRank, model.Lo, model.Hi, model.Chunks = s.TP, 0, s.CP, 0, 0, 0, nil
	model.Sequence = s.Sequence
	model.Pieces = pieces(model, s)
	if s.ZeRO > 0 {
		model.Shards = block.Shards{All: block.Group{Ranks: s.DP * s.EP * s.CP}, Same: block.Group{Ranks: s.DP * s.CP}, Level: s.ZeRO, Bucket: dp.Elements(s.BucketBytes, model.Precision.Stats)}
	}
	return model
}

// pieces is 2 where a tensor-parallel rank sums one half of the tokens while it computes the other, and the tokens that it holds have halves.
func pieces(c block.Config, s parallel.Strategy) int {
	rows, length := c.Grid()
	parts := 2
	if s.Sequence {
		parts *= s.TP
	}
	if s.Aside && rows*length%parts == 0 {
		return 2
	}
	return 1
}

// New builds this rank's part. All ranks call it at the same time.
func New(r *parallel.Rank, cfg Config) (*Trainer, error) {
	if err := Check(cfg, r.Strategy); err != nil {
		return nil, err
	}
	cuts, err := Cut(cfg, r.Strategy)
	if err != nil {
		return nil, err
	}
	c := Microbatch(cfg.Model, r.Strategy)
	c.Shards.All.Rank, c.Shards.Same.Rank = r.Grads.Rank(), r.DP.Rank()
	c.TPRank, c.CPRank, c.Experts.Rank = r.Coord.TP, r.Coord.CP, r.Coord.EP
	c.Chunks = chunks(cuts, r.Strategy, r.Coord.PP)
	t := &Trainer{
		Cuts: cuts, rank: r, dev: r.Device, compute: r.Compute, pipe: r.Pipe, clock: clock{dev: r.Device}, mark: trace.Marker(r.Device),
		microbatches: r.Strategy.Microbatches, count: lossCount(cfg.Model),
		lossMean: make([]float64, 1),
	}
	t.lossHost = tensor.New(tensor.WithShape(1), tensor.WithBacking(t.lossMean))
	r.Defer(t.free)
	if t.Stage, err = block.New(r.Device, r.Compute, c); err != nil {
		return nil, fmt.Errorf("stage of layers %s: %w", c.Held(), err)
	}
	t.plan()
	if err := t.alloc(); err != nil {
		return nil, fmt.Errorf("stage of layers %s: %w", c.Held(), err)
	}
	if err := t.connect(cfg.Hyper); err != nil {
		return nil, err
	}
	return t, nil
}

// lossCount is the number of terms in the global mean: tokens of a language model, else elements.
func lossCount(model block.Config) int {
	n := model.Batch * model.T
	if model.V > 0 {
		return n
	}
	return n * model.C
}

// plan lays out the schedules and their slots.
func (t *Trainer) plan() {
	s, m := t.rank.Strategy, t.microbatches
	t.inference = pp.InterleavedInference(s.Chunks)(t.rank.Coord.PP, s.PP, m)
	t.slots, t.passes = make([][]*block.Acts, s.Chunks), make([]int, s.Chunks*m)
	if !t.Stage.Forward {
		t.training = training(s, t.rank.Coord.PP)
		t.grads = make([]kernels.Tensor, gradPlaces(s, t.training))
	}
	for c := range t.slots {
		t.slots[c] = make([]*block.Acts, slots(s, t.training, t.inference, c))
	}
}

// connect joins the other ranks and makes the operands of every step.
func (t *Trainer) connect(h block.Hyper) error {
	r, st := t.rank, t.Stage
	if err := t.connectTensor(); err != nil {
		return err
	}
	if r.EP.Size() > 1 {
		st.Exchange = &timed{r.EP, &t.clock, true}
	}
	if r.CP.Size() > 1 && st.HasBlocks() {
		ring, err := t.newRing()
		if err != nil {
			return err
		}
		t.ring, st.Ring = ring, ring
	}
	t.found = st.State.At(kernels.StateFound, 1)
	if st.Forward {
		return nil
	}
	if st.Size() > 0 && st.Shards.Level == 0 {
		t.update = st.UpdateArgs(h, st.Whole())
	}
	if r.Grads.Size() == 1 {
		return nil
	}
	groups := dp.Groups{All: &timed{r.Grads, &t.clock, false}, Same: &timed{r.DP, &t.clock, false}}
	if st.Shards.Level > 0 {
		z, err := dp.NewSharded(r.Device, groups, r.Compute, r.Reduce, st, h, t.waitExposed)
		if err != nil {
			return fmt.Errorf("shards: %w", err)
		}
		t.reducer, t.sharded = z, z
		return nil
	}
	parts := dp.Parts(st, groups)
	if r.Strategy.Naive {
		t.reducer = &dp.Naive{Compute: r.Compute, Parts: parts}
		return nil
	}
	b, err := dp.NewBucketed(r.Device, r.Compute, r.Reduce, parts, st.Precision.Stats, r.Strategy.BucketBytes)
	if err != nil {
		return fmt.Errorf("buckets: %w", err)
	}
	t.reducer = b
	return nil
}

// newRing joins the context-parallel ranks. Without a stream of their own the hops are the compute stream's.
func (t *Trainer) newRing() (*cp.Ring, error) {
	r := t.rank
	if r.Ring == nil {
		return cp.New(r.Device, &timed{r.CP, &t.clock, true}, r.Compute, t.Stage, r.Compute.Wait)
	}
	return cp.New(r.Device, &timed{r.CP, &t.clock, false}, r.Ring, t.Stage, t.waitExposed)
}

// connectTensor joins the tensor-parallel ranks.
func (t *Trainer) connectTensor() error {
	r, st := t.rank, t.Stage
	c := &timed{r.TP, &t.clock, true}
	if c.Size() == 1 {
		return nil
	}
	var err error
	if besides(st.Config, r.Strategy) {
		if t.aside, err = tp.NewAside(r.Device, &timed{r.TP, &t.clock, false}, r.Aside, st.Pieces, t.waitExposed); err != nil {
			return fmt.Errorf("tensor-parallel calls: %w", err)
		}
	}
	cut := tp.NewCut(st.Pieces)
	if !st.Sequence {
		t.tp = tp.Region{Cut: cut, Comm: c, Aside: t.aside}
		return nil
	}
	var places [3]kernels.Tensor
	rows, length := st.Grid()
	n := gathered(st.Config, r.Strategy)
	for i := range n {
		if places[i], err = t.tensor(st.Precision.Compute, rows*length, st.C); err != nil {
			return err
		}
	}
	t.tp = tp.Sequence{Cut: cut, Comm: c, All: places[0], Sums: places[min(1, n-1)], Aside: t.aside, Next: places[min(2, n-1)]}
	if st.Forward {
		return nil
	}
	grads, n := st.Partials(), 0
	for _, g := range grads {
		n += g.Size()
	}
	if n == 0 {
		return nil
	}
	packed, err := t.tensor(st.Precision.Stats, n)
	t.partials = tp.NewPartials(c, grads, packed)
	return err
}

// alloc takes all memory outside the stage.
func (t *Trainer) alloc() error {
	st := t.Stage
	for c, slots := range t.slots {
		for i := range slots {
			a, err := st.NewActsAround(c)
			if err != nil {
				return err
			}
			slots[i] = a
		}
	}
	var err error
	take := func(dt kernels.DType, shape ...int) kernels.Tensor {
		var x kernels.Tensor
		if err == nil {
			x, err = t.tensor(dt, shape...)
		}
		return x
	}
	rows, length := st.Grid()
	ct, n, own := st.Precision.Compute, rows*length, len(st.Tokens())
	t.loss = take(st.Precision.Stats, 1)
	for i := range t.grads {
		t.grads[i] = take(ct, own, st.C)
	}
	for range t.microbatches {
		switch {
		case !t.first():
		case t.language():
			t.inputs = append(t.inputs, take(kernels.I32, rows, length))
		default:
			t.inputs = append(t.inputs, take(ct, own, st.C))
		}
		switch {
		case !st.Last():
		case t.language():
			t.targets = append(t.targets, take(kernels.I32, n))
		default:
			t.targets = append(t.targets, take(ct, own, st.C))
		}
	}
	if err == nil && t.rank.Strategy.PP > 1 {
		err = t.pipeEvents.make(t.dev, len(t.passes))
	}
	return err
}

func (t *Trainer) tensor(dt kernels.DType, shape ...int) (kernels.Tensor, error) {
	n := 1
	for _, d := range shape {
		n *= d
	}
	b, err := t.dev.Alloc(dt, n)
	if err != nil {
		return kernels.Tensor{}, err
	}
	t.bufs = append(t.bufs, b)
	return kernels.Of(b, shape...), nil
}

func (t *Trainer) first() bool { return t.Stage.Chunks[0].Lo == 0 }

func (t *Trainer) language() bool { return t.Stage.Config.V > 0 }

func (t *Trainer) free() {
	t.graph.close() // a failure to is one of the context, which closing it tells
	if t.reducer != nil {
		t.reducer.Close()
	}
	if t.ring != nil {
		t.ring.Close()
	}
	if t.aside != nil {
		t.aside.Close()
	}
	t.pipeEvents.close()
	t.clock.close()
	for _, b := range t.bufs {
		b.Free()
	}
	for _, a := range slices.Concat(t.slots...) {
		if a != nil {
			a.Free()
		}
	}
	if t.Stage != nil {
		t.Stage.Close()
	}
}
