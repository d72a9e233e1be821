package rig

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/costmodel"
	"ofpeak/parallel/trainer"
)

// costTime is what each collective is given at each size.
const costTime = 20 * time.Millisecond

// costSizes are bytes of a collective for which latency counts, and for which bandwidth does.
var costSizes = [2]int64{16 << 10, 2 << 20}

// simulatedSizes are those of simulated GPUs, on which nothing but the bytes differs.
var simulatedSizes = [2]int64{1 << 10, 8 << 10}

// Costs measures what the cost model needs to predict any split of a case over its ranks, while all of them are at work: passes of each kind of layer, for each width that a
// tensor-parallel rank can have and two sizes of a microbatch; the optimizer; collectives of two sizes; and how much of one hides behind a backward pass.
func (r *Rig) Costs(ctx context.Context, c workload.Case) (costmodel.Table, error) {
	var table costmodel.Table
	err := r.launch(ctx, order{Task: costing}, c.Unsplit(), false, func(ctx context.Context, rank *parallel.Rank) error {
		m, err := newMeter(ctx, rank, c.Unsplit())
		if err != nil {
			return err
		}
		if err := m.measure(); err != nil {
			return err
		}
		if rank.ID == 0 {
			table = m.table
		}
		return nil
	})
	return table, err
}

// meter is one rank's part in measuring costs. All ranks measure the same, and are told the slowest's time.
type meter struct {
	ctx   context.Context
	rank  *parallel.Rank
	c     workload.Case
	x     *exchange
	runs  int
	sizes [2]int64
	table costmodel.Table
}

func newMeter(ctx context.Context, rank *parallel.Rank, c workload.Case) (*meter, error) {
	m := &meter{ctx: ctx, rank: rank, c: c, runs: costRuns, sizes: costSizes, table: costmodel.Table{World: rank.World}}
	if c.Device == workload.Sim {
		m.runs, m.sizes = 1, simulatedSizes
	}
	var err error
	m.x, err = newExchange(rank)
	return m, err
}

func (m *meter) measure() error {
	for _, whole := range m.models() {
		if err := m.layers(whole); err != nil {
			return err
		}
	}
	if err := m.optimizer(); err != nil {
		return err
	}
	if m.rank.World == 1 {
		return nil
	}
	for _, op := range []comm.Op{comm.AllReduce, comm.ReduceScatter, comm.AllGather, comm.AllToAll, comm.SendRecv} {
		if err := m.collective(op); err != nil {
			return err
		}
	}
	return m.overlap()
}

// models are the case's model as each tensor-parallel rank could have it. The ranks that are left share the batch.
func (m *meter) models() []block.Config {
	var out []block.Config
	for tp := 1; tp <= m.rank.World; tp++ {
		if c := m.alone(tp); m.rank.World%tp == 0 && c.Check() == nil {
			out = append(out, c)
		}
	}
	return out
}

// alone is the model with a tensor-parallel rank's part of each layer, for one rank that exchanges nothing.
func (m *meter) alone(tp int) block.Config {
	c := trainer.Microbatch(m.c.Training().Model, parallel.Strategy{TP: tp}.Normal())
	c.Batch = max(1, m.c.Model.B*tp/m.rank.World)
	return c
}

// layers times each kind of layer on one sequence and on as many as a rank has.
func (m *meter) layers(whole block.Config) error {
	kinds := whole.Layers()
	for i, kind := range kinds {
		if slices.Contains(kinds[:i], kind) {
			continue
		}
		var took [2]costmodel.Line // Fixed is the forward pass, Each the backward
		sizes := [2]int{1, whole.Batch}
		for j, batch := range sizes {
			c := whole
			c.Batch = batch
			forward, backward, err := m.slowest(func() (float64, float64, error) { return timeLayer(m.rank.Device, m.rank.Compute, c, i, m.runs) })
			if err != nil {
				return fmt.Errorf("time layer %d: %w", i, err)
			}
			took[j] = costmodel.Line{Fixed: forward, Each: backward}
		}
		small, large := float64(sizes[0]), float64(sizes[1])
		m.table.Layers = append(m.table.Layers, costmodel.Passes{TP: max(1, whole.TP), Kind: kind,
			Forward:  costmodel.Through(small, took[0].Fixed, large, took[1].Fixed),
			Backward: costmodel.Through(small, took[0].Each, large, took[1].Each)})
	}
	return nil
}

// slowest times something on all ranks at once.
func (m *meter) slowest(f func() (float64, float64, error)) (a, b float64, err error) {
	if err := m.ctx.Err(); err != nil {
		return 0, 0, err
	}
	if err := m.x.together(); err != nil {
		return 0, 0, err
	}
	if a, b, err = f(); err != nil {
		return 0, 0, err
	}
	if a, err = m.x.largest(a); err != nil {
		return 0, 0, err
	}
	b, err = m.x.largest(b)
	return a, b, err
}

// stage is one block on this rank.
func (m *meter) stage() (*block.Stage, error) {
	c := m.alone(1)
	at := slices.Index(c.Layers(), block.Block)
	c.Chunks = []block.Range{{Lo: at, Hi: at + 1}}
	return block.New(m.rank.Device, m.rank.Compute, c)
}

// optimizer times what a step does for each parameter.
func (m *meter) optimizer() error {
	st, err := m.stage()
	if err != nil {
		return err
	}
	defer st.Close()
	args := st.UpdateArgs(block.DefaultHyper, st.Whole())
	took, _, err := m.slowest(func() (float64, float64, error) {
		t, err := timePass(m.rank.Compute, m.runs, func() {
			st.ZeroGrads(m.rank.Compute)
			st.CheckGrads(m.rank.Compute)
			m.rank.Compute.AdamW(args)
			st.EndStep(m.rank.Compute)
		})
		return t, 0, err
	})
	m.table.Update = took / float64(st.Size())
	return err
}

func (m *meter) collective(op comm.Op) error {
	var took [2]Collective
	for i, size := range m.sizes {
		var err error
		if took[i], err = timeCollective(m.ctx, m.rank, op, size, costTime); err != nil {
			return err
		}
	}
	m.table.Collectives = append(m.table.Collectives, costmodel.Collective{Op: op,
		Line: costmodel.Through(float64(took[0].Bytes), took[0].Time.Seconds(), float64(took[1].Bytes), took[1].Time.Seconds())})
	return nil
}

// overlap times a block's passes, a sum of as many gradients as it has, and both at once.
func (m *meter) overlap() error {
	st, err := m.stage()
	if err != nil {
		return err
	}
	defer st.Close()
	a, err := st.NewActs()
	if err != nil {
		return err
	}
	defer a.Free()
	pass := func() {
		st.Run(m.rank.Compute, a, nil, nil)
	}
	sum := func() { m.rank.DP.AllReduce(m.rank.Reduce, st.Grads, st.Grads) }
	timed := func(enqueue func()) (float64, error) {
		t, _, err := m.slowest(func() (float64, float64, error) {
			t, err := timePass(both{m.rank.Compute, m.rank.Reduce}, m.runs, enqueue)
			return t, 0, err
		})
		return t, err
	}
	var took [3]float64
	for i, enqueue := range []func(){pass, sum, func() { sum(); pass() }} {
		if took[i], err = timed(enqueue); err != nil {
			return err
		}
	}
	m.table.Overlap = min(1, max(0, (took[0]+took[1]-took[2])/min(took[0], took[1])))
	return nil
}

// both are two streams to wait for.
type both struct {
	kernels.Stream
	other kernels.Stream
}

// Sync waits for both.
func (b both) Sync() error {
	if err := b.Stream.Sync(); err != nil {
		return err
	}
	return b.other.Sync()
}
