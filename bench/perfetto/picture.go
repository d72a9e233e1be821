package perfetto

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"ofpeak/parallel/trace"
	"ofpeak/results/report/figure"
)

// Layout of the picture, in its units.
const (
	width, left, right = 1000.0, 64.0, 12.0
	top, rowHeight     = 64.0, 46.0
	barHeight          = 24.0
	stripHeight        = 5.0
	labelSize          = 12.0
)

// look is how a phase is drawn and named in the legend.
type look struct {
	phase, name string
	ink         figure.Ink
}

var looks = []look{
	{"forward", "forward", "s1"}, {"backward", "backward", "s3"}, {"backward-input", "backward: input", "s3"}, {"backward-weight", "backward: weights", "s5"},
	{"optimizer", "optimizer", "s2"},
}

const (
	otherInk    = figure.Ink("s8") // phases without a look of their own
	transferInk = figure.Ink("s4")
)

// Picture draws what the ranks of a case did, counted from 1: a bar for each phase of each microbatch, which its number names, and below it a strip where
// data go between ranks or ranks wait to hand them over. Blank is idle.
func (f *File) Picture(number int) (*figure.Figure, error) {
	if number < 1 || number > len(f.Cases) {
		return nil, fmt.Errorf("case %d: the trace has %d", number, len(f.Cases))
	}
	c := f.Cases[number-1]
	p := painter{Figure: figure.New("trace", "What each rank ran when: "+c.Case, width, top+rowHeight*float64(c.Ranks)+22), first: c.FirstPID}
	for _, e := range f.Events {
		if e.Phase == "X" && e.PID >= c.FirstPID && e.PID < c.FirstPID+c.Ranks {
			p.end = max(p.end, e.TS+e.Dur)
			if e.Cat == phaseCat && e.Args != nil && e.Args.Phase == string(trace.End) {
				continue // sums the loss, nearly all of it waiting for the last rank
			}
			p.events = append(p.events, e)
		}
	}
	p.Bold(left, 18, c.Case, 13, figure.Start, figure.Text)
	p.legend()
	p.axis(c.Ranks)
	for _, e := range p.events {
		p.event(e)
	}
	return p.Figure, nil
}

type painter struct {
	*figure.Figure
	first  int // PID
	events []Event
	end    float64 // of the step, µs
}

func (p *painter) x(micros float64) float64 {
	return left + (width-left-right)*micros/p.end
}

func (p *painter) y(pid int) float64 { return top + rowHeight*float64(pid-p.first) }

// lookOf is how an event of category phase is drawn.
func lookOf(e Event) look {
	for _, l := range looks {
		if e.Args != nil && l.phase == e.Args.Phase {
			return l
		}
	}
	return look{"", "other", otherInk}
}

// legend names what occurs.
func (p *painter) legend() {
	var shown []look
	for _, e := range p.events {
		if e.Cat != phaseCat {
			continue
		}
		if l := lookOf(e); !slices.ContainsFunc(shown, func(s look) bool { return s.name == l.name }) {
			shown = append(shown, l)
		}
	}
	slices.SortFunc(shown, func(a, b look) int { return order(a) - order(b) })
	if slices.ContainsFunc(p.events, func(e Event) bool { return e.Cat == "communication" }) {
		shown = append(shown, look{"", "communication, waiting for its ranks included", transferInk})
	}
	x := left
	for _, l := range shown {
		p.Rect(x, 31, 12, 10, l.ink, "")
		p.Label(x+17, 40, l.name, labelSize, figure.Start, figure.Muted)
		x += 17 + figure.TextWidth(l.name, labelSize) + 20
	}
}

func order(l look) int {
	if i := slices.Index(looks, l); i >= 0 {
		return i
	}
	return len(looks)
}

// axis has a line every so many milliseconds, and the ranks' names.
func (p *painter) axis(ranks int) {
	step := tick(p.end / 1e3 / 8)
	bottom := p.y(p.first + ranks)
	for i := 0.0; i*step*1e3 <= p.end; i++ {
		ms := math.Round(i*step*1e6) / 1e6
		x := p.x(ms * 1e3)
		p.Line(x, top-8, x, bottom, figure.Grid, 1)
		p.Label(x, bottom+14, strconv.FormatFloat(ms, 'f', -1, 64), 11, figure.Middle, figure.Muted)
	}
	p.Label(left-8, bottom+14, "ms", 11, figure.End, figure.Muted)
	for r := range ranks {
		p.Label(left-8, p.y(p.first+r)+barHeight/2+4, fmt.Sprintf("rank %d", r), labelSize, figure.End, figure.Text)
	}
}

// tick is 1, 2 or 5 times a power of ten, about v.
func tick(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= v {
			return m * unit
		}
	}
	return 10 * unit
}

// event draws a phase's bar or a transfer's strip; all other spans are too many to see.
func (p *painter) event(e Event) {
	x, y := p.x(e.TS), p.y(e.PID)
	w := max(p.x(e.TS+e.Dur)-x, 0.3)
	tip := fmt.Sprintf("rank %d: %s, %.4g to %.4g ms", e.PID-p.first, e.Name, e.TS/1e3, (e.TS+e.Dur)/1e3)
	switch e.Cat {
	case phaseCat:
		gap := min(1, w/4) // tells neighbours apart
		p.Rect(x, y, w-gap, barHeight, lookOf(e).ink, tip)
		if e.Args == nil || e.Args.Microbatch == nil {
			return
		}
		if k := fmt.Sprint(*e.Args.Microbatch); w > figure.TextWidth(k, labelSize)+4 {
			p.Bold(x+(w-gap)/2, y+barHeight/2+4.5, k, labelSize, figure.Middle, figure.On)
		}
	case "communication":
		p.Rect(x, y+barHeight+3, w, stripHeight, transferInk, tip)
	}
}
