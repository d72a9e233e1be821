package trace_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/ref"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/comm/local"
	"ofpeak/parallel/trace"
	"ofpeak/parallel/trainer"
)

func openCPU(int, int) (kernels.Device, error) { return cpu.New(cpu.Config{Threads: 1}) }

func openRef(int, int) (kernels.Device, error) { return ref.New(), nil }

// world runs a body on recorded ranks.
func world(open func(int, int) (kernels.Device, error), s parallel.Strategy, body func(r *parallel.Rank, d *trace.Device) error) error {
	l := parallel.InProcess{
		Open: func(rank, world int) (kernels.Device, error) {
			dev, err := open(rank, world)
			if err != nil {
				return nil, err
			}
			return trace.Wrap(dev), nil
		},
		Connect: func(n int) []comm.Communicator { return trace.Connect(local.New(n)) },
	}
	return l.Run(context.Background(), s, func(_ context.Context, r *parallel.Rank) error { return body(r, r.Device.(*trace.Device)) })
}

func precision(t *testing.T, name string) kernels.Precision {
	p, ok := kernels.PrecisionNamed(name)
	if !ok {
		t.Fatal("no precision", name)
	}
	return p
}

// record trains two steps on every rank, and returns the timelines of the second by rank.
func record(t *testing.T, open func(int, int) (kernels.Device, error), model block.Config, s parallel.Strategy) []trace.Timeline {
	t.Helper()
	var mu sync.Mutex
	lines := make([]trace.Timeline, s.Normal().Mesh().World())
	err := world(open, s, func(r *parallel.Rank, d *trace.Device) error {
		tr, err := build(r, model)
		if err != nil {
			return err
		}
		for step := range 2 {
			if err := d.Start(); err != nil {
				return err
			}
			if err := train(tr); err != nil {
				return err
			}
			line, err := d.Stop("compute", "second", "third")
			if err != nil {
				return fmt.Errorf("step %d: %w", step, err)
			}
			mu.Lock()
			lines[r.ID] = line
			mu.Unlock()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func build(r *parallel.Rank, model block.Config) (*trainer.Trainer, error) {
	tr, err := trainer.New(r, trainer.Config{Model: model, Hyper: block.DefaultHyper})
	if err != nil {
		return nil, err
	}
	if model.V == 0 {
		return tr, tr.SetRegression(5)
	}
	return tr, tr.SetTokens(func(seq, pos int) int32 { return int32((seq + 3*pos) % model.V) })
}

func train(tr *trainer.Trainer) error {
	if tr.Stage.Forward {
		tr.ForwardPass()
	} else {
		tr.TrainStep()
	}
	_, err := tr.Sync()
	return err
}

var strategies = []parallel.Strategy{
	{}, {Microbatches: 2}, {DP: 2, BucketBytes: 10000}, {DP: 2, ZeRO: 1}, {DP: 2, ZeRO: 3, Microbatches: 2, BucketBytes: 10000}, {TP: 2},
	{PP: 2, Microbatches: 4}, {PP: 2, Microbatches: 4, Schedule: "zb-h1"}, {PP: 2, Microbatches: 2, Schedule: "gpipe"}, {DP: 2, TP: 2, PP: 2, Microbatches: 2},
}

func name(s parallel.Strategy) string {
	return strings.ReplaceAll(fmt.Sprintf("dp%d tp%d pp%d zero%d %s", s.DP, s.TP, s.PP, s.ZeRO, s.Schedule), " ", "-")
}

// What the operators are noted to compute is what the cost model says of the whole, in every type, layout and strategy.
func TestFLOPsAreTheModels(t *testing.T) {
	check := func(t *testing.T, model block.Config, s parallel.Strategy) {
		t.Helper()
		var executed, needed block.FLOPs
		for _, line := range record(t, openCPU, model, s) {
			for _, sp := range line.Tracks[0].Spans {
				executed[sp.DType] += sp.FLOPs
				needed[sp.DType] += sp.Model
			}
		}
		want := model.TotalWork()
		if model.Recompute {
			needed = want.Model // products that run again are needed once; which, the reader of the timeline decides
		}
		for dt := range want.Executed {
			if math.Abs(executed[dt]-want.Executed[dt]) > 1e-9*want.Executed.Total() || math.Abs(needed[dt]-want.Model[dt]) > 1e-9*want.Model.Total() {
				t.Errorf("%v: executed %g and needed %g FLOPs; want %g and %g", kernels.DType(dt), executed[dt], needed[dt], want.Executed[dt], want.Model[dt])
			}
		}
	}
	small := block.Config{C: 32, NH: 2, T: 5, L: 2, Batch: 8, Precision: precision(t, "fp32")}
	for _, s := range strategies {
		t.Run(name(s), func(t *testing.T) { check(t, small, s) })
	}
	for what, change := range map[string]func(*block.Config){
		"language":  func(c *block.Config) { c.V = 13 },
		"bf16":      func(c *block.Config) { c.Precision = precision(t, "bf16") },
		"2:4":       func(c *block.Config) { c.Layout.Format = kernels.Sparse24 },
		"blocks":    func(c *block.Config) { c.Layout = kernels.Layout{Format: kernels.BlockSparse, Block: 16, Keep: 0.5} },
		"recompute": func(c *block.Config) { c.Recompute = true },
		"int8": func(c *block.Config) {
			c.Precision, c.Layout.Format, c.Forward = precision(t, "int8"), kernels.Int8, true
		},
	} {
		model := small
		change(&model)
		t.Run(what, func(t *testing.T) { check(t, model, parallel.Strategy{}) })
	}
}

// Spans of a stream lie in order, inside of the recording, by streams that tell as by events.
func TestSpansAreInOrder(t *testing.T) {
	const apart = 5 * time.Microsecond // the clock is read anew for each end, and a thread may be interrupted between two readings
	for what, open := range map[string]func(int, int) (kernels.Device, error){"cpu": openCPU, "ref": openRef} {
		for _, s := range strategies {
			model := block.Config{C: 32, NH: 2, T: 5, L: 2, V: 7, Batch: 8, Precision: precision(t, map[string]string{"cpu": "fp32", "ref": "fp64"}[what])}
			t.Run(what+"/"+name(s), func(t *testing.T) {
				for rank, line := range record(t, open, model, s) {
					phases := map[trace.Phase]bool{}
					for _, track := range line.Tracks {
						at := line.Tracks[0].Spans[0].Begin
						if at < 0 {
							t.Errorf("rank %d begins %v before the recording", rank, -at)
						}
						at = 0
						for _, sp := range track.Spans {
							if sp.Begin < at-apart || sp.End < sp.Begin || sp.End > line.Length+apart {
								t.Fatalf("rank %d, %s: %s from %v to %v comes after %v in a recording of %v", rank, track.Name, sp.Op, sp.Begin, sp.End, at, line.Length)
							}
							at = sp.End
							phases[sp.Phase] = true
						}
					}
					for _, p := range []trace.Phase{trace.Begin, trace.Forward, trace.Optimizer, trace.End} {
						if !phases[p] {
							t.Errorf("rank %d has no phase %s", rank, p)
						}
					}
					if split := s.Schedule == "zb-h1"; phases[trace.BackwardWeight] != split || phases[trace.BackwardInput] != split {
						t.Errorf("rank %d: phases %v", rank, phases)
					}
				}
			})
		}
	}
}

// Every rank of a group notes the same collectives, and every Send the Call of one Recv.
func TestTransfersMatch(t *testing.T) {
	model := block.Config{C: 32, NH: 2, T: 5, L: 2, V: 7, Batch: 8, Precision: precision(t, "fp32")}
	for _, s := range strategies {
		t.Run(name(s), func(t *testing.T) {
			seen := map[trace.Call][]string{}
			moved := 0.0
			for _, line := range record(t, openCPU, model, s) {
				for _, track := range line.Tracks {
					for _, sp := range track.Spans {
						for _, call := range sp.Calls {
							seen[call.Key()] = append(seen[call.Key()], sp.Op)
						}
						if sp.Kind == trace.Transfer {
							moved += sp.Bytes
						}
						if (sp.Kind == trace.Transfer) != (len(sp.Calls) == 1) {
							t.Errorf("%s has %d calls", sp.Op, len(sp.Calls))
						}
					}
				}
			}
			s := s.Normal()
			if parts := s.DP * s.TP * s.PP; (parts > 1) != (len(seen) > 0) || parts > 1 && moved == 0 {
				t.Errorf("%d ranks have %d transfers of %g bytes", parts, len(seen), moved)
			}
			for call, ops := range seen {
				slices.Sort(ops)
				if call.From >= 0 {
					if !slices.Equal(ops, []string{"recv", "send"}) {
						t.Errorf("%+v is %v", call, ops)
					}
				} else if ops = slices.Compact(slices.Clone(ops)); len(seen[call]) < 2 || len(ops) != 1 {
					t.Errorf("%+v is %v", call, seen[call])
				}
			}
		})
	}
}

// A group is one span with all its calls.
func TestGroup(t *testing.T) {
	var mu sync.Mutex
	seen := map[trace.Call]int{}
	err := world(openCPU, parallel.Strategy{DP: 3}, func(r *parallel.Rank, d *trace.Device) error {
		b, err := r.Device.Alloc(kernels.F32, 8)
		if err != nil {
			return err
		}
		r.Defer(b.Free)
		x := kernels.Of(b, 8)
		if err := d.Start(); err != nil {
			return err
		}
		for range 2 {
			r.All.Group(r.Compute, func() {
				r.All.Send(r.Compute, x.At(0, 4), (r.ID+1)%3)
				r.All.Recv(r.Compute, x.At(4, 4), (r.ID+2)%3)
			})
		}
		if err := r.Compute.Sync(); err != nil {
			return err
		}
		line, err := d.Stop()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		spans := line.Tracks[0].Spans
		if len(spans) != 2 {
			return fmt.Errorf("%d spans", len(spans))
		}
		for _, sp := range spans {
			if sp.Op != "send-recv" || sp.Bytes != 32 || len(sp.Calls) != 2 || !sp.Calls[0].Sends || sp.Calls[1].Sends {
				return fmt.Errorf("span %+v", sp)
			}
			for _, call := range sp.Calls {
				seen[call.Key()]++
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for call, n := range seen {
		if n != 2 {
			t.Errorf("%+v is noted %d times", call, n)
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d calls, want 6", len(seen))
	}
}

// A wait knows the stream whose event it is for.
func TestWaitsNameTheirStream(t *testing.T) {
	model := block.Config{C: 32, NH: 2, T: 5, L: 2, Batch: 8, Precision: precision(t, "fp32")}
	for rank, line := range record(t, openCPU, model, parallel.Strategy{PP: 2, Microbatches: 4}) {
		waits := map[int]int{}
		for _, sp := range line.Tracks[0].Spans {
			if sp.Kind == trace.Wait {
				waits[sp.On]++
			}
		}
		if waits[1] < 4 {
			t.Errorf("rank %d: the compute stream's waits by stream are %v; want four or more for the pipe", rank, waits)
		}
	}
}

// A wrapped device computes the same bits, recording or not.
func TestRecordingChangesNothing(t *testing.T) {
	model := block.Config{C: 32, NH: 2, T: 5, L: 2, V: 7, Batch: 8, Precision: precision(t, "fp16"), Recompute: true,
		Layout: kernels.Layout{Format: kernels.Sparse24}}
	losses := func(recording bool) (out []float64) {
		err := world(openCPU, parallel.Strategy{DP: 2}, func(r *parallel.Rank, d *trace.Device) error {
			tr, err := build(r, model)
			if err != nil {
				return err
			}
			for range 4 {
				if recording {
					if err := d.Start(); err != nil {
						return err
					}
				}
				tr.TrainStep()
				report, err := tr.Sync()
				if err != nil {
					return err
				}
				if r.ID == 0 {
					out = append(out, report.Loss)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if on, off := losses(true), losses(false); !slices.Equal(on, off) || len(on) != 4 {
		t.Errorf("losses %v recording, %v not", on, off)
	}
}

// A warm step allocates nothing while it is recorded.
func TestRecordingDoesNotAllocate(t *testing.T) {
	if raced {
		t.Skip("the race detector makes pools allocate")
	}
	model := block.Config{C: 32, NH: 2, T: 5, L: 2, Batch: 8, Precision: precision(t, "fp32")}
	err := world(openCPU, parallel.Strategy{}, func(r *parallel.Rank, d *trace.Device) error {
		tr, err := build(r, model)
		if err != nil {
			return err
		}
		step := func() {
			if err := d.Start(); err != nil {
				t.Error(err)
			}
			if err := train(tr); err != nil {
				t.Error(err)
			}
		}
		for range 3 {
			step()
		}
		least := math.Inf(1)
		for range 5 {
			least = min(least, testing.AllocsPerRun(5, step))
		}
		if least > 0 {
			t.Errorf("%g allocations in a step", least)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A stream that tells of fewer calls than it was given is an error, not a timeline with the wrong names.
func TestMissingTimes(t *testing.T) {
	dev, err := cpu.New(cpu.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	d := trace.Wrap(forgetful{dev})
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	s.(kernels.HostStream).Do(func() error { return nil })
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stop(); err == nil || !strings.Contains(err.Error(), "1 calls and told of 0") {
		t.Errorf("error %v", err)
	}
}

// forgetful streams tell nothing.
type forgetful struct{ kernels.Device }

type silent struct{ *cpu.Stream }

func (silent) Observe(func(begin, end time.Time)) {}

func (f forgetful) NewStream() (kernels.Stream, error) {
	s, err := f.Device.NewStream()
	if err != nil {
		return nil, err
	}
	return silent{s.(*cpu.Stream)}, nil
}
