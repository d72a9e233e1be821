package waterfall

import (
	"fmt"
	"math"
	"testing"

	"ofpeak/kernels"
	"ofpeak/parallel/pp"
	"ofpeak/parallel/trace"
)

// On steps of equal stages and free transfers, made up from the schedules themselves, the bubble's share is that of the papers' formula, and all else is products.
func TestBubbleIsTheFormulas(t *testing.T) {
	for name, schedule := range map[string]pp.Schedule{"gpipe": pp.GPipe, "1f1b": pp.OneFOneB} {
		for _, size := range [][2]int{{2, 1}, {2, 8}, {3, 5}, {4, 4}, {4, 32}, {8, 16}} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				step := scheduled(schedule, size[0], size[1])
				a := Analyze([]Step{step}, step.Length().Seconds(), func(kernels.DType) (float64, bool) { return 0, false }, 0)
				if got, want := a.Bubble/a.Total(), pp.Bubble(size[0], size[1]); math.Abs(got-want) > 1e-9 {
					t.Errorf("the bubble is %.4f of the step, want %.4f, of %+v", got, want, a.Parts)
				}
				if math.Abs(a.Bubble+a.Matmul-a.Total()) > 1e-9 {
					t.Errorf("time is in other parts: %+v", a.Parts)
				}
			})
		}
	}
}

// pass is a forward or backward pass of a microbatch on a stage.
type pass struct {
	stage, microbatch int
	kind              pp.Kind
}

// needs is the pass of another stage that it follows, if there is one.
func (p pass) needs(stages int) (pass, bool) {
	other := p
	if other.stage--; p.kind == pp.Backward {
		other.stage = p.stage + 1
	}
	return other, other.stage >= 0 && other.stage < stages
}

// call is the transfer from one pass to the next, as its receiver or its sender sees it.
func call(from, to pass, sends bool) trace.Call {
	return trace.Call{Group: "pp", From: from.stage, To: to.stage, Number: from.microbatch, Sends: sends}
}

// scheduled is a step in which a forward pass takes 1 ms, a backward pass 2, and a transfer nothing.
func scheduled(s pp.Schedule, stages, microbatches int) Step {
	compute, pipe, end := make([][]trace.Span, stages), make([][]trace.Span, stages), make([]int, stages)
	todo := make([][]pass, stages)
	for stage := range stages {
		for _, a := range s(stage, stages, microbatches) {
			if a.Kind == pp.Forward || a.Kind == pp.Backward {
				todo[stage] = append(todo[stage], pass{stage, a.Microbatch, a.Kind})
			}
		}
	}
	done := map[pass]int{}
	for len(done) < 2*stages*microbatches {
		for stage := range stages {
			if len(todo[stage]) == 0 {
				continue
			}
			p := todo[stage][0]
			if before, ok := p.needs(stages); ok {
				ready, ended := done[before]
				if !ended {
					continue
				}
				compute[stage] = append(compute[stage], transfer("recv", call(before, p, false), end[stage], max(ready, end[stage])))
				pipe[before.stage] = append(pipe[before.stage], transfer("send", call(before, p, true), ready, ready))
				end[stage] = max(ready, end[stage])
			}
			begin := end[stage]
			if end[stage]++; p.kind == pp.Backward {
				end[stage]++
			}
			compute[stage] = append(compute[stage], op("linear", trace.Product, begin, end[stage]))
			done[p] = end[stage]
			todo[stage] = todo[stage][1:]
		}
	}
	var step Step
	for stage := range stages {
		step = append(step, line(stage, stage, end[stage], compute[stage], pipe[stage]))
	}
	return step
}
