package sweep

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
)

// fake takes 1 s for the step of one core, and runs no int8.
type fake struct {
	cores  int
	runs   []workload.Case
	broken bool                                    // probes fail
	on     func(c workload.Case, row *results.Row) // after the row is filled
}

func (f *fake) Machine() Machine {
	return Machine{Device: results.CPU, Name: "fake cpu", Cores: f.cores}
}

func (f *fake) Check(c workload.Case) error {
	if c.Precision == "int8" {
		return errors.New("no 8-bit products")
	}
	return nil
}

func (f *fake) Run(_ context.Context, c workload.Case, row *results.Row) {
	f.runs = append(f.runs, c)
	row.StepMedianS = results.Some(1 / float64(min(f.cores, c.World()*c.RankThreads(f.cores))))
	row.TokensPerS = results.Some(float64(c.Model.Tokens()) / row.StepMedianS.Or(0))
	row.Settle(results.OK, "")
	if f.on != nil {
		f.on(c, row)
	}
}

// Probe gives each rank room for 16 layers of one sequence for each core, in bf16 three times as many. Tensor parallelism saves nothing.
func (f *fake) Probe(_ context.Context, c workload.Case, row *results.Row) {
	room := 16 * f.cores * c.PP * c.DP
	if c.Precision == "bf16" {
		room *= 3
	}
	switch {
	case f.broken:
		row.Settle(results.Failed, "the device is gone")
	case c.Model.L*c.Model.B > room:
		row.Settle(results.Skipped, "out of device memory")
	default:
		row.Settle(results.OK, "")
	}
}

// Costs are those of layers that take a second for each sequence, and of free exchanges.
func (f *fake) Costs(_ context.Context, c workload.Case) (costmodel.Table, error) {
	if f.broken {
		return costmodel.Table{}, errors.New("the device is gone")
	}
	t := costmodel.Table{World: c.World()}
	for tp := 1; tp <= c.World(); tp++ {
		line := costmodel.Line{Each: 1 / float64(tp)}
		t.Layers = append(t.Layers, costmodel.Passes{TP: tp, Kind: block.Block, Forward: line, Backward: line})
	}
	return t, nil
}

// log keeps everything that a run tells.
type log struct {
	events []string
	rows   []results.Row
	full   int // rows that fit; 0: all
}

func (l *log) Begin(c workload.Case) { l.events = append(l.events, "begin "+c.String()) }
func (l *log) End(row *results.Row)  { l.events = append(l.events, string(row.Status)+" "+row.Case) }
func (l *log) Append(r *results.Row) error {
	if l.full > 0 && len(l.rows) == l.full {
		return errors.New("disk full")
	}
	if err := r.Validate(); err != nil {
		return err
	}
	l.rows = append(l.rows, *r)
	return nil
}

func smoke(t *testing.T, r Runner, technique ...string) []workload.Planned {
	t.Helper()
	plan, err := workload.Expand(workload.Options{Suite: "smoke", Techniques: technique, Cores: r.Machine().Cores})
	if err != nil {
		t.Fatal(err)
	}
	return Check(r, plan)
}

func TestRunSmoke(t *testing.T) {
	f, l := &fake{cores: 2}, &log{}
	plan := smoke(t, f)
	rows, err := Run(t.Context(), f, ThisEnvironment(), plan, nil, l, l)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(plan) || len(l.rows) != len(plan) || len(f.runs) != len(plan)-1 {
		t.Fatalf("%d cases: %d rows, %d written, %d run", len(plan), len(rows), len(l.rows), len(f.runs))
	}
	if first := rows[0]; first.Status != results.Skipped || first.Reason != "no 8-bit products" || first.Precision != "int8" {
		t.Errorf("the first row is %s %s, not the skipped one", first.Status, first.Case)
	}
	if len(l.events) != 2*len(plan) || l.events[2] != "begin technique=baseline precision=fp32 model=tiny" {
		t.Errorf("events: %q", l.events)
	}
	for _, row := range rows {
		c, err := workload.ParseCase(row.Case)
		if err != nil {
			t.Fatal(err)
		}
		speedup, scaling := 1.0, 1.0
		if c.Threads == 1 {
			speedup = 0.5
		}
		if c.World() == 4 {
			scaling = 0.5 // two cores do the work of four ranks
		}
		if row.Status != results.OK {
			continue
		}
		if got, ok := row.SpeedupVsBaseline.Get(); !ok || got != speedup {
			t.Errorf("%s: speed-up %v, want %v", row.Case, row.SpeedupVsBaseline, speedup)
		}
		if got, ok := row.ScalingEfficiency.Get(); ok != (c.World() > 1) || ok && got != scaling {
			t.Errorf("%s: scaling efficiency %v, want %v", row.Case, row.ScalingEfficiency, scaling)
		}
		if over := c.World() == 4; over != (row.Reason == "oversubscribed: 4 threads of 4 ranks share 2 cores") {
			t.Errorf("%s: reason %q", row.Case, row.Reason)
		}
	}
}

// A row that cannot be trusted lends its speed to no other.
func TestWrongBaseline(t *testing.T) {
	f := &fake{cores: 2}
	f.on = func(c workload.Case, row *results.Row) {
		if c == workload.BaselineOf(c) {
			row.Settle(results.Wrong, "differs")
		}
	}
	l := &log{}
	rows, err := Run(t.Context(), f, Environment{}, smoke(t, f, workload.DataParallel), nil, l, l)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.SpeedupVsBaseline.Known() {
			t.Errorf("%s: speed-up %v over a wrong row", row.Case, row.SpeedupVsBaseline)
		}
	}
	if last := rows[len(rows)-1]; last.ScalingEfficiency.Or(0) != 1 {
		t.Errorf("%s: scaling efficiency %v", last.Case, last.ScalingEfficiency)
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, l := &fake{cores: 2}, &log{}
	f.on = func(_ workload.Case, row *results.Row) {
		switch len(f.runs) {
		case 2:
			cancel() // this case still finishes
		case 3:
			t.Error("a case began after the interrupt")
		}
	}
	rows, err := Run(ctx, f, Environment{}, smoke(t, f), nil, l, l)
	if !errors.Is(err, ErrInterrupted) || len(rows) != 3 || len(l.rows) != 3 {
		t.Errorf("got %d rows, %d written, %v", len(rows), len(l.rows), err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	f, l = &fake{cores: 2}, &log{}
	f.on = func(_ workload.Case, row *results.Row) {
		if len(f.runs) == 2 {
			cancel()
			row.Status = "" // in the middle of its steps
		}
	}
	if rows, err = Run(ctx, f, Environment{}, smoke(t, f), nil, l, l); !errors.Is(err, ErrInterrupted) || len(rows) != 2 {
		t.Errorf("in the middle of a case: got %d rows, %v", len(rows), err)
	}
}

func TestRunEndsWhenRowsCannotBeKept(t *testing.T) {
	f, l := &fake{cores: 2}, &log{full: 3}
	rows, err := Run(t.Context(), f, Environment{}, smoke(t, f), nil, l, l)
	if err == nil || err.Error() != "disk full" || len(rows) != 3 || len(f.runs) != 3 {
		t.Errorf("got %d rows after %d runs, %v", len(rows), len(f.runs), err)
	}
}

// Whatever the options, a plan's rows can be written: also of cases that make no sense.
func TestAnySkippedRowCanBeKept(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	kept := 0
	for range 400 {
		o := workload.Options{Suite: "smoke", Cores: 1 + random.IntN(8), Override: workload.Settings{
			Models:       pick(random, workload.Model{C: 48, NH: 3, T: 7, L: 1, B: 5, V: 11}, workload.Model{C: 1, NH: 1, T: 1, L: 1, B: 1}),
			Passes:       pick(random, workload.Forward, workload.Train),
			Engines:      pick(random, workload.Gorgonia, workload.GorgoniaBLAS, workload.Native),
			Precisions:   pick(random, "int8", "bf16", "fp64"),
			Layouts:      pick(random, kernels.Layout{Format: kernels.BlockSparse, Block: 512, Keep: 0.1}, kernels.Layout{Format: kernels.Sparse24}, kernels.Layout{}),
			Ranks:        pick(random, 1, 2, 4, 60000),
			Sequences:    pick(random, true),
			Chunks:       pick(random, -1, 2, 99),
			Cuts:         pick(random, workload.ByCount, workload.ByMeasurement),
			Experts:      pick(random, workload.Experts{Count: 4, TopK: 1, Capacity: 1}, workload.Experts{Count: -1, TopK: 9}),
			Schedules:    pick(random, workload.GPipe, workload.Inter),
			Microbatches: pick(random, -1, 0, 3),
			BucketBytes:  pick(random, -1, 100),
			ZeRO:         pick(random, 0, 3),
			Recomputes:   pick(random, workload.Blocks),
			Threads:      pick(random, -3, 0, 64),
			ISAs:         pick(random, "go", "none"),
		}}
		plan, err := workload.Expand(o)
		if err != nil {
			continue
		}
		for _, p := range plan {
			row := NewRow(p.Case, Machine{Device: results.CPU, Name: "fake cpu", Cores: o.Cores}, Environment{}, time.Now())
			row.Settle(results.Skipped, "not run")
			if err := row.Validate(); err != nil {
				t.Errorf("%s: %v", p.Case, err)
			}
			kept++
		}
	}
	if kept < 500 {
		t.Errorf("only %d rows were looked at", kept)
	}
}

// pick is some of the values, often none.
func pick[T any](random *rand.Rand, values ...T) []T {
	var out []T
	for _, v := range values {
		if random.IntN(5) == 0 {
			out = append(out, v)
		}
	}
	return out
}

func TestNewRow(t *testing.T) {
	m := Machine{Device: results.CPU, Name: "fake cpu", Chip: "", Cores: 8}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	for _, line := range []string{
		"technique=baseline precision=fp32 model=tiny",
		"technique=distributed precision=bf16 model=tiny,V=64 dp=2 pp=2 schedule=gpipe microbatches=4",
		"technique=sparse precision=fp32 model=tiny layout=block:16@0.25",
		"technique=model-parallel precision=fp32 model=tiny tp=2 layout=2:4 threads=1 isa=go seed=9",
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		row := NewRow(c, m, ThisEnvironment(), at)
		row.Settle(results.Skipped, "not run")
		if err := row.Validate(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		back, err := workload.ParseCase(row.Case)
		if err != nil || back != c {
			t.Errorf("%s: the row's case is %s, %v", line, row.Case, err)
		}
	}

	c, _ := workload.ParseCase("model=C=64,NH=4,T=32,L=2,B=8,V=7 precision=bf16 layout=block:16@0.25 dp=2 zero=2 threads=3")
	row := NewRow(c, m, Environment{}, at)
	if row.Model != "custom" || row.Vocab.Or(0) != 7 || row.ThreadsPerRank.Or(0) != 3 || row.CoresUsed.Or(0) != 6 ||
		row.SparseFormat != "block:16" || row.SparseDensity.Or(0) != 0.25 || row.Microbatches.Known() ||
		row.BucketBytes.Or(0) != workload.DefaultBucketBytes || row.ZeRO.Or(0) != 2 || row.Recompute != "none" || !row.UTCTime.Equal(at.Truncate(time.Second)) {
		t.Errorf("got %+v", row)
	}
	m.Device = results.CUDA
	if row := NewRow(c, m, Environment{}, at); row.ThreadsPerRank.Known() || row.CoresUsed.Known() {
		t.Errorf("a GPU's row counts cores: %+v", row)
	}
}

func TestCommitAndRelease(t *testing.T) {
	setting := func(kv ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{}
		for pair := range slices.Chunk(kv, 2) {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: pair[0], Value: pair[1]})
		}
		return info
	}
	for want, info := range map[string]*debug.BuildInfo{
		"":     setting("vcs.modified", "true"),
		"abc":  setting("vcs.revision", "abc", "vcs.modified", "false"),
		"abc+": setting("vcs.revision", "abc", "vcs.modified", "true"),
	} {
		if got := Commit(info); got != want {
			t.Errorf("got commit %q, want %q", got, want)
		}
	}
	for version, want := range map[string]string{
		"(devel)": "", "v1.2.3": "v1.2.3", "v1.2.3+dirty": "v1.2.3", "v0.0.0-20260102030405-0123456789ab+dirty": "", "v1.2.4-0.20260102030405-0123456789ab": "",
	} {
		if got := release(version); got != want {
			t.Errorf("%s: got %q, want %q", version, got, want)
		}
	}
}
