// Package perfetto writes recorded timelines as a file that Perfetto (ui.perfetto.dev) and chrome://tracing open, reads such files, and draws the
// pipeline that one shows. The format is Google's "Trace Event Format" (docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU),
// in its JSON object form.
package perfetto

import (
	"fmt"
	"time"

	"ofpeak/bench/waterfall"
	"ofpeak/parallel/trace"
)

// Event is an event of the format. Times are microseconds.
type Event struct {
	Name  string  `json:"name"`
	Cat   string  `json:"cat,omitempty"`
	Phase string  `json:"ph"` // X: a span; s and f: begin and end of a flow; M: metadata
	TS    float64 `json:"ts"` // since the step's begin
	Dur   float64 `json:"dur,omitempty"`
	PID   int     `json:"pid"` // a rank
	TID   int     `json:"tid"` // one of its streams, or the host
	ID    int     `json:"id,omitempty"`
	Bind  string  `json:"bp,omitempty"`
	Args  *Args   `json:"args,omitempty"`
}

// Args are what an event tells besides: of metadata one of the first three, of spans the others.
type Args struct {
	Name      string `json:"name,omitempty"`
	Labels    string `json:"labels,omitempty"`
	SortIndex int    `json:"sort_index,omitempty"`

	Phase      string  `json:"phase,omitempty"`
	Microbatch *int    `json:"microbatch,omitempty"`
	FLOPs      float64 `json:"flops,omitempty"`
	Type       string  `json:"type,omitempty"` // of the operands
	Bytes      float64 `json:"bytes,omitempty"`
	Group      string  `json:"group,omitempty"` // of ranks that communicate
	Call       int     `json:"call,omitempty"`  // of the group, or of the pair of a send and its recv; of several the first
}

// File is a trace. Each of its cases is one step.
type File struct {
	Events  []Event `json:"traceEvents"`
	Unit    string  `json:"displayTimeUnit"`
	Flows   int     `json:"flows"`   // ids given out
	Cases   []Case  `json:"cases"`   // in the order in which they were measured
	Version string  `json:"version"` // of this use of the format
}

// Case says which processes of the trace are a case's ranks.
type Case struct {
	Case     string `json:"case"`
	FirstPID int    `json:"firstPID"`
	Ranks    int    `json:"ranks"`
}

const version = "ofpeak 1"

// New is a trace without cases.
func New() *File { return &File{Unit: "ms", Version: version, Events: []Event{}, Cases: []Case{}} }

// Categories of spans.
const (
	hostCat  = "host"
	phaseCat = "phase"
	flowCat  = "transfer"
)

var cats = map[trace.Kind]string{
	trace.Product: "product", trace.Attention: "attention", trace.Memory: "memory", trace.Update: "optimizer", trace.Transfer: "communication", trace.Wait: "wait",
}

// hostTID is the host's track; the streams' follow.
const hostTID = 1

// Add appends a step of a case.
func (f *File) Add(name string, step waterfall.Step) {
	first := 1
	if n := len(f.Cases); n > 0 {
		first = f.Cases[n-1].FirstPID + f.Cases[n-1].Ranks
	}
	f.Cases = append(f.Cases, Case{name, first, len(step)})
	b := builder{File: f, number: len(f.Cases), first: first, base: begin(step), flows: map[trace.Call]int{}}
	for _, line := range step {
		b.rank(name, line)
	}
}

// begin is when the first rank began.
func begin(step waterfall.Step) time.Time {
	base := step[0].Base
	for _, line := range step {
		if line.Base.Before(base) {
			base = line.Base
		}
	}
	return base
}

// builder adds a case's events.
type builder struct {
	*File
	number, first int
	base          time.Time
	flows         map[trace.Call]int
}

func (b *builder) rank(name string, line trace.Timeline) {
	pid := b.first + line.Rank
	b.meta("process_name", pid, 0, Args{Name: fmt.Sprintf("case %d rank %d", b.number, line.Rank)})
	b.meta("process_labels", pid, 0, Args{Labels: name})
	b.meta("process_sort_index", pid, 0, Args{SortIndex: pid})
	offset := line.Base.Sub(b.base)
	b.thread(pid, hostTID, "host")
	for _, sp := range line.Host {
		b.span(pid, hostTID, hostCat, offset, sp)
	}
	for i, track := range line.Tracks {
		tid := hostTID + 1 + i
		b.thread(pid, tid, track.Name)
		if i == 0 {
			b.phases(pid, tid, offset, track.Spans)
		}
		for _, sp := range track.Spans {
			b.span(pid, tid, cats[sp.Kind], offset, sp)
			b.flow(pid, tid, offset, sp)
		}
	}
}

func (b *builder) meta(what string, pid, tid int, args Args) {
	b.Events = append(b.Events, Event{Name: what, Phase: "M", PID: pid, TID: tid, Args: &args})
}

func (b *builder) thread(pid, tid int, name string) {
	b.meta("thread_name", pid, tid, Args{Name: name})
	b.meta("thread_sort_index", pid, tid, Args{SortIndex: tid})
}

// phases adds a span around all that the compute stream runs for a microbatch in a phase, less waiting and communication at its begin and end.
func (b *builder) phases(pid, tid int, offset time.Duration, spans []trace.Span) {
	for len(spans) > 0 {
		first := spans[0]
		n := 1
		for n < len(spans) && spans[n].Phase == first.Phase && spans[n].Microbatch == first.Microbatch {
			n++
		}
		if run := busy(spans[:n]); len(run) > 0 {
			name := string(first.Phase)
			if first.Microbatch >= 0 {
				name = fmt.Sprintf("%s %d", name, first.Microbatch)
			}
			whole := trace.Span{Op: name, Phase: first.Phase, Microbatch: first.Microbatch, Begin: run[0].Begin, End: run[len(run)-1].End}
			b.span(pid, tid, phaseCat, offset, whole)
		}
		spans = spans[n:]
	}
}

// busy are the spans from the first to the last that computes.
func busy(spans []trace.Span) []trace.Span {
	idle := func(s trace.Span) bool { return s.Kind == trace.Wait || s.Kind == trace.Transfer }
	for len(spans) > 0 && idle(spans[0]) {
		spans = spans[1:]
	}
	for len(spans) > 0 && idle(spans[len(spans)-1]) {
		spans = spans[:len(spans)-1]
	}
	return spans
}

func (b *builder) span(pid, tid int, cat string, offset time.Duration, sp trace.Span) {
	args := Args{Phase: string(sp.Phase), FLOPs: sp.FLOPs, Bytes: sp.Bytes}
	if sp.Microbatch >= 0 {
		args.Microbatch = &sp.Microbatch
	}
	if len(sp.Calls) > 0 {
		args.Group, args.Call = sp.Calls[0].Group, sp.Calls[0].Number
	}
	if sp.FLOPs > 0 {
		args.Type = sp.DType.String()
	}
	begin := micros(offset + sp.Begin)
	b.Events = append(b.Events, Event{Name: sp.Op, Cat: cat, Phase: "X", TS: begin, Dur: micros(offset+sp.End) - begin, PID: pid, TID: tid, Args: &args})
}

// flow links a Send, where it begins, to its Recv, where that ends.
func (b *builder) flow(pid, tid int, offset time.Duration, sp trace.Span) {
	for _, call := range sp.Calls {
		if call.From < 0 {
			continue
		}
		id, known := b.flows[call.Key()]
		if !known {
			b.Flows++
			id = b.Flows
			b.flows[call.Key()] = id
		}
		e := Event{Name: "send-recv", Cat: flowCat, Phase: "s", TS: micros(offset + sp.Begin), PID: pid, TID: tid, ID: id}
		if !call.Sends {
			e.Phase, e.Bind, e.TS = "f", "e", micros(offset+sp.End)
		}
		b.Events = append(b.Events, e)
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
