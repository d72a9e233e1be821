// Package pp is pipeline parallelism: every rank holds a stage, a contiguous range of the model's layers, and microbatches flow through
// the stages. What a stage does, in which order, is a pure function of (stage, stages, microbatches); running it is a loop.
//
// Every order is free of deadlock even where a Send waits for its Recv, so each stage's transfers may share one stream.
package pp

import "fmt"

// Kind is what a stage does with a microbatch.
type Kind uint8

const (
	RecvAct  Kind = iota // take the activations from the stage before
	Forward              // from a stage's input to its output
	SendAct              // hand the activations to the stage after
	RecvGrad             // take the gradient of the stage's output from the stage after
	Backward             // from the gradient of the output to the gradient of the input
	SendGrad             // hand the gradient of the stage's input to the stage before
	// Backward in two parts:
	BackwardInput  // the gradient of the input
	BackwardWeight // the gradients of the weights, afterwards
)

// String is the action's name.
func (k Kind) String() string {
	return [...]string{"recv-act", "forward", "send-act", "recv-grad", "backward", "send-grad", "backward-input", "backward-weight"}[k]
}

// Action is one step of a stage's schedule.
type Action struct {
	Kind       Kind
	Microbatch int
}

// String shows an action as "forward 3".
func (a Action) String() string { return fmt.Sprintf("%v %d", a.Kind, a.Microbatch) }

// Schedule gives a stage's actions for one training step.
type Schedule func(stage, stages, microbatches int) []Action

// Schedules by name.
var schedules = map[string]Schedule{"gpipe": GPipe, "1f1b": OneFOneB, "zb-h1": ZBH1}

// Names lists the schedules, the simplest first.
var Names = []string{"gpipe", "1f1b", "zb-h1"}

// Named finds a schedule.
func Named(name string) (Schedule, bool) {
	s, ok := schedules[name]
	return s, ok
}

// Stage does what a schedule says. Calls enqueue and return.
type Stage interface {
	RecvAct(microbatch int)
	Forward(microbatch int)
	SendAct(microbatch int)
	RecvGrad(microbatch int)
	// Backward is told when it is the step's last, after which no gradient of a parameter changes.
	Backward(microbatch int, last bool)
	SendGrad(microbatch int)
	BackwardInput(microbatch int)
	// BackwardWeight is told when it is the last, like Backward.
	BackwardWeight(microbatch int, last bool)
}

// Run does all actions in order.
func Run(actions []Action, s Stage) {
	left := 0
	for _, a := range actions {
		if a.ends() {
			left++
		}
	}
	for _, a := range actions {
		if a.ends() {
			left--
		}
		switch k := a.Microbatch; a.Kind {
		case RecvAct:
			s.RecvAct(k)
		case Forward:
			s.Forward(k)
		case SendAct:
			s.SendAct(k)
		case RecvGrad:
			s.RecvGrad(k)
		case Backward:
			s.Backward(k, left == 0)
		case SendGrad:
			s.SendGrad(k)
		case BackwardInput:
			s.BackwardInput(k)
		case BackwardWeight:
			s.BackwardWeight(k, left == 0)
		}
	}
}

// ends reports whether the stage is done with the microbatch then.
func (a Action) ends() bool { return a.Kind == Backward || a.Kind == BackwardWeight }

// Live is the largest number of microbatches whose activations a stage holds at once: from the Recv or Forward to the
// end of the backward pass.
func Live(actions []Action) int {
	held, most := map[int]bool{}, 0
	for _, a := range actions {
		switch a.Kind {
		case RecvAct, Forward:
			held[a.Microbatch] = true
			most = max(most, len(held))
		case Backward, BackwardWeight:
			delete(held, a.Microbatch)
		}
	}
	return most
}

// Bubble is the share of a step that every stage stands idle if stages are equal and transfers free, for GPipe and 1F1B alike: (p-1)/(m+p-1) with p
// stages and m microbatches (Huang et al., "GPipe", arXiv:1811.06965, section 2.3; Narayanan et al., arXiv:2104.04473, section 2.2.1,
// gives it over the ideal time, (p-1)/m).
func Bubble(stages, microbatches int) float64 {
	return float64(stages-1) / float64(microbatches+stages-1)
}

// BubbleZBH1 is Bubble for ZB-H1 where a forward and each part of a backward pass take the same time, and microbatches are no fewer than stages:
// the last stage fills (p-1) forwards and inputs' gradients of waiting with as many weights' gradients (Qi et al., arXiv:2401.10241, table 2).
func BubbleZBH1(stages, microbatches int) float64 {
	return float64(stages-1) / float64(3*microbatches+stages-1)
}
