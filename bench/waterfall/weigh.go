package waterfall

import (
	"strings"
	"time"

	"ofpeak/parallel/trace"
)

// weigher adds up the parts of steps.
type weigher struct {
	peak  Peak
	parts Parts // products and attention whole
	// ideal times of products and of attention, and whether the peaks of all types are known
	products, attention float64
	known               bool

	// Of the step in hand:
	ranks   Step
	share   float64
	arrival map[trace.Call]arrival
}

// arrival is when the last rank came to a transfer, and its stage.
type arrival struct {
	at    time.Time
	stage int
}

// step adds a step, of which every rank counts with a share.
func (w *weigher) step(ranks Step, share float64) {
	w.ranks, w.share, w.arrival = ranks, share, map[trace.Call]arrival{}
	for _, line := range ranks {
		for _, track := range line.Tracks {
			for _, sp := range track.Spans {
				for _, call := range sp.Calls {
					if at := line.Base.Add(sp.Begin); at.After(w.arrival[call.Key()].at) {
						w.arrival[call.Key()] = arrival{at, line.Stage}
					}
				}
			}
		}
	}
	last := ranks.slowest()
	for _, line := range ranks {
		w.rank(line)
		w.waits(line.Stage, last.Stage, last.Length-line.Length)
	}
}

// rank adds a rank's compute stream, from its begin to its own end.
func (w *weigher) rank(line trace.Timeline) {
	at := time.Duration(0)
	for _, sp := range line.Tracks[0].Spans {
		w.add(&w.parts.Host, sp.Begin-at)
		w.span(line, sp, sp.Begin, sp.End, len(line.Tracks))
		w.addIdeal(sp)
		at = sp.End
	}
	w.add(&w.parts.Host, line.Length-at)
}

func (w *weigher) add(part *float64, d time.Duration) { *part += w.share * d.Seconds() }

// span adds a span's time between two moments. A wait passes its time on to what the other stream does meanwhile, over so many streams at most.
func (w *weigher) span(line trace.Timeline, sp trace.Span, from, to time.Duration, depth int) {
	switch {
	case sp.Kind == trace.Transfer:
		w.transfer(line, sp, from, to)
	case sp.Kind == trace.Wait:
		w.wait(line, sp, from, to, depth)
	case again(sp):
		w.add(&w.parts.Recompute, to-from)
	case sp.Kind == trace.Product:
		w.add(&w.parts.Matmul, to-from)
	case sp.Kind == trace.Attention:
		w.add(&w.parts.Attention, to-from)
	case sp.Kind == trace.Update || sp.Phase == trace.Optimizer:
		w.add(&w.parts.Optimizer, to-from)
	default:
		w.add(&w.parts.Memory, to-from)
	}
}

// again reports whether a span belongs to a forward pass that runs again in the backward pass. Only forward passes add residuals.
func again(sp trace.Span) bool {
	backward := sp.Phase == trace.Backward || sp.Phase == trace.BackwardInput || sp.Phase == trace.BackwardWeight
	return backward && (strings.HasSuffix(sp.Op, ".forward") || sp.Op == "add")
}

// addIdeal adds what the model's FLOPs of a span take at the peak.
func (w *weigher) addIdeal(sp trace.Span) {
	if sp.Model == 0 || again(sp) {
		return
	}
	rate, ok := w.peak(sp.DType)
	if !ok {
		w.known = false
		return
	}
	if sp.Kind == trace.Attention {
		w.attention += w.share * sp.Model / rate
	} else {
		w.products += w.share * sp.Model / rate
	}
}

// transfer splits communication: until the last rank is there it is waiting, from then on data move.
func (w *weigher) transfer(line trace.Timeline, sp trace.Span, from, to time.Duration) {
	var last arrival
	for _, call := range sp.Calls {
		if a := w.arrival[call.Key()]; a.at.After(last.at) {
			last = a
		}
	}
	there := min(max(last.at.Sub(line.Base), from), to)
	w.waits(line.Stage, last.stage, there-from)
	w.add(&w.parts.Comm, to-there)
}

// waits adds the time that a rank of one stage waits for one of another, or of its own.
func (w *weigher) waits(stage, other int, d time.Duration) {
	if stage != other {
		w.add(&w.parts.Bubble, d)
	} else {
		w.add(&w.parts.Imbalance, d)
	}
}

// wait adds what the other stream did until the event completed; waking up after that is the host's.
func (w *weigher) wait(line trace.Timeline, sp trace.Span, from, to time.Duration, depth int) {
	if sp.On < 0 || depth == 0 {
		w.add(&w.parts.Host, to-from)
		return
	}
	ready := min(max(sp.Ready, from), to)
	w.add(&w.parts.Host, to-ready)
	for _, other := range line.Tracks[sp.On].Spans {
		begin, end := max(other.Begin, from), min(other.End, ready)
		if begin >= end {
			continue
		}
		w.add(&w.parts.Host, begin-from)
		w.span(line, other, begin, end, depth-1)
		from = end
	}
	w.add(&w.parts.Host, ready-from)
}

// finish scales the times, and takes off products and attention what the peak would have taken, and what a lower clock cost.
func (w *weigher) finish(scale, clock float64) Parts {
	p := w.parts
	for _, v := range p.all() {
		*v *= scale
	}
	if clock > 0 && clock < 1 {
		for _, v := range []*float64{&p.Matmul, &p.Attention} {
			lost := *v * (1 - clock)
			p.Throttle += lost
			*v -= lost
		}
	}
	if w.known {
		p.Ideal, p.IdealKnown = w.products+w.attention, true
		p.Matmul -= w.products
		p.Attention -= w.attention
	}
	return p
}
