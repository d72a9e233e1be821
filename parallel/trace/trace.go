// Package trace records what every stream of a rank ran, and when: operator, phase, microbatch, FLOPs, bytes, and between which ranks data
// went. It wraps a rank's device and communicators; between Start and Stop it notes each call, at all other times it only passes calls on.
//
// It counts no time itself: streams that can tell when their calls ran are asked, others are given events around every call. What the
// times mean is for whoever reads the Timeline.
package trace

import (
	"time"

	"ofpeak/kernels"
)

// Kind says what a span's time is spent on.
type Kind uint8

const (
	Product   Kind = iota // matrix product
	Attention             // both products of attention, and the softmax between them
	Memory                // bound by memory: norms, losses, embeddings, casts, copies
	Update                // the optimizer
	Transfer              // communication
	Wait                  // for another stream
)

// Phase is a part of a training step.
type Phase string

const (
	Begin          Phase = "begin" // gradients are cleared
	Forward        Phase = "forward"
	Backward       Phase = "backward"
	BackwardInput  Phase = "backward-input" // where the pass is split
	BackwardWeight Phase = "backward-weight"
	Reduce         Phase = "reduce" // the rest of the gradients' sum
	Optimizer      Phase = "optimizer"
	End            Phase = "end" // the loss is summed
)

// Span is one call as a stream ran it. Times count from the timeline's Base.
type Span struct {
	Op         string // such as "linear.forward", "all-reduce", "wait"
	Kind       Kind
	Phase      Phase
	Microbatch int           // -1: of none
	DType      kernels.DType // of the operands of a Product or Attention
	// FLOPs are the multiply-adds that run, times two; Model those that the model needs (see block.Work). Operators without products have none.
	FLOPs, Model float64
	// Bytes are the operands, each counted once for every time that it is read or written as a whole; of a Transfer, the larger operand.
	Bytes      float64
	Begin, End time.Duration
	// Calls are those of a Transfer: one, or of a group any number. A call is noted on all ranks that take part in it.
	Calls []Call
	// On is the stream, by its place in the timeline, whose event a Wait is for, and Ready when the event completed; -1: one from before the recording.
	On    int
	Ready time.Duration

	mark   int // number of the call that records the event
	lo, hi int // of Calls, in the stream's list
}

// Call tells transfers apart. A collective has From and To -1.
type Call struct {
	Group    string // the communicator
	From, To int    // ranks in the group, of a Send and its Recv
	Number   int    // of the same group, or pair, from 1
	Sends    bool   // this rank is From
}

// Key is the same on all ranks.
func (c Call) Key() Call {
	c.Sends = false
	return c
}

// Track is what one stream ran, in order.
type Track struct {
	Name  string
	Spans []Span
}

// Timeline is what a rank did between Start and Stop.
type Timeline struct {
	Rank, Stage int
	Base        time.Time
	Length      time.Duration // until Stop
	Tracks      []Track       // the compute stream first
	// Host is what the goroutine did that calls the streams.
	Host []Span
}
