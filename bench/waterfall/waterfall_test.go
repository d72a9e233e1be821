package waterfall

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ofpeak/kernels"
	"ofpeak/parallel/trace"
)

var base = time.Now()

const ms = time.Millisecond

// op is a span of some milliseconds from begin to end.
func op(name string, kind trace.Kind, begin, end int) trace.Span {
	return trace.Span{Op: name, Kind: kind, Phase: trace.Forward, DType: kernels.F32, Begin: time.Duration(begin) * ms, End: time.Duration(end) * ms}
}

func work(s trace.Span, flops float64) trace.Span {
	s.FLOPs, s.Model = flops, flops
	return s
}

func in(p trace.Phase, s trace.Span) trace.Span {
	s.Phase = p
	return s
}

func transfer(name string, call trace.Call, begin, end int) trace.Span {
	s := op(name, trace.Transfer, begin, end)
	s.Calls = []trace.Call{call}
	return s
}

// waiting is for an event of a stream that completed at some millisecond.
func waiting(on, ready, begin, end int) trace.Span {
	s := op("wait", trace.Wait, begin, end)
	s.On, s.Ready = on, time.Duration(ready)*ms
	return s
}

func line(rank, stage, length int, tracks ...[]trace.Span) trace.Timeline {
	t := trace.Timeline{Rank: rank, Stage: stage, Base: base, Length: time.Duration(length) * ms}
	for _, spans := range tracks {
		t.Tracks = append(t.Tracks, trace.Track{Spans: spans})
	}
	return t
}

var sum = trace.Call{Group: "dp", From: -1, To: -1, Number: 1}

// gflops is a peak of 1 FLOP a nanosecond.
func gflops(kernels.DType) (float64, bool) { return 1e9, true }

// Each step has parts known by hand, in milliseconds, the mean over its ranks.
func TestParts(t *testing.T) {
	tests := map[string]struct {
		step Step
		want Parts
	}{
		"one rank": {
			Step{line(0, 0, 100, []trace.Span{
				in(trace.Begin, op("fill", trace.Memory, 2, 5)),
				work(op("linear.forward", trace.Product, 5, 25), 15e6),
				op("layernorm.forward", trace.Memory, 26, 30),
				work(op("attention.forward", trace.Attention, 30, 40), 4e6),
				in(trace.Backward, work(op("linear.forward", trace.Product, 40, 50), 15e6)), // again
				in(trace.Backward, work(op("linear.backward-weight", trace.Product, 50, 70), 15e6)),
				in(trace.Optimizer, op("copy", trace.Memory, 70, 71)),
				in(trace.Optimizer, op("adamw", trace.Update, 71, 80)),
				in(trace.End, op("download", trace.Memory, 95, 97)),
			})},
			Parts{Ideal: 34, Matmul: 10, Attention: 6, Memory: 9, Recompute: 10, Optimizer: 10, Host: 21},
		},
		"hidden communication is no part": {
			Step{
				line(0, 0, 20, []trace.Span{work(op("linear.forward", trace.Product, 0, 20), 20e6)}, []trace.Span{transfer("all-reduce", sum, 5, 15)}),
				line(1, 0, 20, []trace.Span{work(op("linear.forward", trace.Product, 0, 20), 20e6)}, []trace.Span{transfer("all-reduce", sum, 5, 15)}),
			},
			Parts{Ideal: 20},
		},
		"exposed communication of a late rank": { // rank 1 comes at 14; data move until 24; both wake up by 25
			Step{
				line(0, 0, 25, []trace.Span{work(op("linear.forward", trace.Product, 0, 10), 10e6), waiting(1, 24, 10, 25)}, []trace.Span{transfer("all-reduce", sum, 8, 24)}),
				line(1, 0, 25, []trace.Span{work(op("linear.forward", trace.Product, 0, 14), 10e6), waiting(1, 24, 14, 25)}, []trace.Span{transfer("all-reduce", sum, 14, 24)}),
			},
			Parts{Ideal: 10, Matmul: 2, Comm: 10, Imbalance: 2, Host: 1},
		},
		"collective on the compute stream": {
			Step{
				line(0, 0, 20, []trace.Span{transfer("all-reduce", sum, 4, 20)}),
				line(1, 0, 20, []trace.Span{transfer("all-reduce", sum, 10, 20)}),
			},
			Parts{Comm: 10, Imbalance: 3, Host: 7},
		},
		"pipeline": { // stage 1 starts when stage 0 sent at 10, and sends back at 30
			Step{
				line(0, 0, 40, []trace.Span{work(op("linear.forward", trace.Product, 0, 10), 10e6), waiting(1, 32, 10, 32), work(op("linear.backward-input", trace.Product, 32, 40), 8e6)},
					[]trace.Span{transfer("send", trace.Call{From: 0, To: 1, Number: 1, Sends: true}, 10, 12), transfer("recv", trace.Call{From: 1, To: 0, Number: 1}, 12, 32)}),
				line(1, 1, 30, []trace.Span{waiting(1, 12, 0, 12), work(op("linear.forward", trace.Product, 12, 30), 18e6)},
					[]trace.Span{transfer("recv", trace.Call{From: 0, To: 1, Number: 1}, 0, 12), transfer("send", trace.Call{From: 1, To: 0, Number: 1, Sends: true}, 30, 32)}),
			},
			// Rank 0 waits 10 to 30: first 2 while its own activations move. Rank 1 waits 10, then 2 of moving, and 10 at the end.
			Parts{Ideal: 18, Comm: 3, Bubble: 19},
		},
		"a wait for a wait": { // compute waits for stream 1, which waits for stream 2, which moves data
			Step{line(0, 0, 10, []trace.Span{waiting(1, 9, 0, 10)}, []trace.Span{waiting(2, 8, 1, 9)}, []trace.Span{transfer("all-gather", sum, 2, 8)})},
			Parts{Comm: 6, Host: 4},
		},
		"streams that wait for each other": {
			Step{line(0, 0, 10, []trace.Span{waiting(1, 10, 0, 10)}, []trace.Span{waiting(0, 10, 0, 10)})},
			Parts{Host: 10},
		},
		"a rank that ends early": {
			Step{line(0, 0, 10, []trace.Span{op("add", trace.Memory, 0, 10)}), line(1, 0, 4, []trace.Span{op("add", trace.Memory, 0, 4)})},
			Parts{Memory: 7, Imbalance: 3},
		},
		"nothing ran": {Step{line(0, 0, 10, nil)}, Parts{Host: 10}},
	}
	for name, test := range tests {
		a := Analyze([]Step{test.step}, test.step.Length().Seconds(), gflops, 0)
		want := test.want
		for i, v := range a.all() {
			if w := *want.all()[i]; math.Abs(*v*1e3-w) > 1e-9 {
				t.Errorf("%s: part %d is %.3f ms, want %.3f (all: %+v)", name, i, *v*1e3, w, a.Parts)
			}
		}
		if !a.IdealKnown || math.Abs(a.Total()-test.step.Length().Seconds()) > 1e-12 {
			t.Errorf("%s: known %v, total %g", name, a.IdealKnown, a.Total())
		}
	}
}

// The parts scale to the timed step, but for the ideal; the half of the steps that is nearest to it counts.
func TestScale(t *testing.T) {
	step := func(length int) Step {
		return Step{line(0, 0, length, []trace.Span{work(op("linear.forward", trace.Product, 0, length-10), 20e6)})}
	}
	a := Analyze([]Step{step(50), step(900), step(50), step(11)}, 0.1, gflops, 0)
	if math.Abs(a.Profiled-0.05) > 1e-12 || math.Abs(a.Ideal-0.02) > 1e-12 || math.Abs(a.Matmul-0.06) > 1e-12 || math.Abs(a.Host-0.02) > 1e-12 {
		t.Errorf("%+v", a)
	}
	if len(a.Ops) != 1 || a.Ops[0].Name != "linear.forward" || math.Abs(a.Ops[0].Seconds-0.08) > 1e-12 || a.Ops[0].FLOPs != 20e6 {
		t.Errorf("operators %+v", a.Ops)
	}
}

func TestThrottle(t *testing.T) {
	step := Step{line(0, 0, 50, []trace.Span{work(op("linear.forward", trace.Product, 0, 40), 20e6), op("add", trace.Memory, 40, 50)})}
	for _, test := range []struct{ clock, matmul, throttle float64 }{{0, 20, 0}, {1, 20, 0}, {1.1, 20, 0}, {0.9, 16, 4}} {
		a := Analyze([]Step{step}, 0.05, gflops, test.clock)
		if math.Abs(a.Matmul*1e3-test.matmul) > 1e-9 || math.Abs(a.Throttle*1e3-test.throttle) > 1e-9 || math.Abs(a.Total()-0.05) > 1e-12 {
			t.Errorf("clock %g: %+v", test.clock, a.Parts)
		}
	}
}

// Without a peak of a type products keep their time.
func TestUnknownPeak(t *testing.T) {
	step := Step{line(0, 0, 50, []trace.Span{work(op("linear.forward", trace.Product, 0, 40), 20e6)})}
	a := Analyze([]Step{step}, 0.05, func(kernels.DType) (float64, bool) { return 0, false }, 0)
	if a.IdealKnown || a.Ideal != 0 || math.Abs(a.Matmul-0.04) > 1e-12 {
		t.Errorf("%+v", a.Parts)
	}
}

// Whatever the timelines, every moment belongs to one part.
func TestPartsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for trial := range 500 {
		ranks := 1 + rng.IntN(4)
		var step Step
		for r := range ranks {
			tracks := make([][]trace.Span, 1+rng.IntN(3))
			end := 0
			for i := range tracks {
				at := 0
				for range rng.IntN(12) {
					begin := at + rng.IntN(3)
					at = begin + rng.IntN(9)
					sp := op([]string{"add", "linear.forward", "x"}[rng.IntN(3)], trace.Kind(rng.IntN(6)), begin, at)
					sp.Phase = []trace.Phase{trace.Forward, trace.Backward, trace.Optimizer}[rng.IntN(3)]
					sp.Calls = []trace.Call{{Group: "g", From: -1, To: -1, Number: rng.IntN(5)}}
					sp.On, sp.Ready = rng.IntN(len(tracks)+1)-1, time.Duration(rng.IntN(60))*ms
					tracks[i] = append(tracks[i], sp)
				}
				end = max(end, at)
			}
			l := line(r, rng.IntN(2), end+rng.IntN(5), tracks...)
			l.Base = base.Add(time.Duration(rng.IntN(10)) * ms)
			step = append(step, l)
		}
		if step.Length() == 0 {
			continue
		}
		a := Analyze([]Step{step}, 2, gflops, 0)
		if math.Abs(a.Total()-2) > 1e-9 {
			t.Fatalf("trial %d: %+v add up to %g", trial, a.Parts, a.Total())
		}
		for i, v := range a.all() {
			if *v < -1e-12 {
				t.Fatalf("trial %d: part %d is %g", trial, i, *v)
			}
		}
	}
}
