// Package pp is pipeline parallelism: every rank holds a stage, a contiguous range of the model's layers, or several of them, and microbatches flow
// through the stages. What a stage does, in which order, is a pure function of (stage, stages, microbatches); running it is a loop.
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

// MaxChunks bounds the stages that one rank holds.
const MaxChunks = 64

// Action is one step of a stage's schedule.
type Action struct {
	Kind       Kind
	Microbatch int
	Chunk      int // of a rank that holds several stages
}

// String shows an action as "forward 3", or "forward 3 of chunk 1".
func (a Action) String() string {
	if a.Chunk == 0 {
		return fmt.Sprintf("%v %d", a.Kind, a.Microbatch)
	}
	return fmt.Sprintf("%v %d of chunk %d", a.Kind, a.Microbatch, a.Chunk)
}

// Schedule gives a stage's actions for one training step.
type Schedule func(stage, stages, microbatches int) []Action

// Names lists the schedules, the simplest first.
var Names = []string{"gpipe", "1f1b", "interleaved", "zb-h1"}

// Named finds a schedule for ranks that hold so many chunks of the model each; all but "interleaved" know only one.
func Named(name string, chunks int) (Schedule, bool) {
	s, ok := map[string]Schedule{"gpipe": GPipe, "1f1b": OneFOneB, "interleaved": Interleaved(chunks), "zb-h1": ZBH1}[name]
	return s, ok
}

// Stage does what a schedule says. Calls enqueue and return.
type Stage interface {
	RecvAct(a Action)
	Forward(a Action)
	SendAct(a Action)
	RecvGrad(a Action)
	// Backward is told when it is the step's last of its chunk, after which no gradient of the chunk's parameters changes.
	Backward(a Action, last bool)
	SendGrad(a Action)
	BackwardInput(a Action)
	// BackwardWeight is told when it is the last, like Backward.
	BackwardWeight(a Action, last bool)
}

// Run does all actions in order.
func Run(actions []Action, s Stage) {
	var left [MaxChunks]int
	for _, a := range actions {
		if a.ends() {
			left[a.Chunk]++
		}
	}
	for _, a := range actions {
		if a.ends() {
			left[a.Chunk]--
		}
		switch a.Kind {
		case RecvAct:
			s.RecvAct(a)
		case Forward:
			s.Forward(a)
		case SendAct:
			s.SendAct(a)
		case RecvGrad:
			s.RecvGrad(a)
		case Backward:
			s.Backward(a, left[a.Chunk] == 0)
		case SendGrad:
			s.SendGrad(a)
		case BackwardInput:
			s.BackwardInput(a)
		case BackwardWeight:
			s.BackwardWeight(a, left[a.Chunk] == 0)
		}
	}
}

// ends reports whether the stage is done with the microbatch then.
func (a Action) ends() bool { return a.Kind == Backward || a.Kind == BackwardWeight }

// Live is the largest number of microbatches of a chunk whose activations a rank holds at once: from the Recv or Forward to the last action that
// needs them, which is the end of the backward pass, or without one the Send.
func Live(actions []Action, chunk int) int {
	return overlap(actions, func(a Action) bool {
		return a.Chunk == chunk && a.Kind != RecvGrad && a.Kind != SendGrad
	})
}

// LiveGrads is the largest number of microbatches, of all chunks, whose activation gradient a rank holds at once: from the Recv or Backward to the Send.
func LiveGrads(actions []Action) int {
	return overlap(actions, func(a Action) bool {
		return a.Kind == RecvGrad || a.Kind == Backward || a.Kind == BackwardInput || a.Kind == SendGrad
	})
}

// overlap is the largest number of microbatches, apart by chunk, that are at once between the first and the last action that f picks.
func overlap(actions []Action, f func(Action) bool) int {
	type key struct{ chunk, microbatch int }
	last := map[key]int{}
	for i, a := range actions {
		if f(a) {
			last[key{a.Chunk, a.Microbatch}] = i
		}
	}
	held, most := map[key]bool{}, 0
	for i, a := range actions {
		if !f(a) {
			continue
		}
		k := key{a.Chunk, a.Microbatch}
		held[k] = true
		most = max(most, len(held))
		if last[k] == i {
			delete(held, k)
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

// BubbleInterleaved is Bubble for Interleaved with so many chunks, where microbatches fall into whole groups: (p-1)/(v·m+p-1)
// (Narayanan et al., arXiv:2104.04473, section 2.2.2).
func BubbleInterleaved(stages, microbatches, chunks int) float64 {
	return float64(stages-1) / float64(chunks*microbatches+stages-1)
}

// BubbleZBH1 is Bubble for ZB-H1 where a forward and each part of a backward pass take the same time, and microbatches are no fewer than stages:
// the last stage fills (p-1) forwards and inputs' gradients of waiting with as many weights' gradients (Qi et al., arXiv:2401.10241, table 2).
func BubbleZBH1(stages, microbatches int) float64 {
	return float64(stages-1) / float64(3*microbatches+stages-1)
}
