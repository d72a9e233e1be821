package report

import (
	"fmt"

	"ofpeak/results"
	"ofpeak/results/report/figure"
)

// part is a piece of a step's time.
type part struct {
	name    string
	ink     figure.Ink
	seconds float64
}

// waterfall splits a step: what the work would take at the peak, and where the rest of the time went.
type waterfall struct {
	entry   *Entry
	basis   string // of the peak
	step    float64
	reached part   // the time that the work needs at peak speed
	losses  []part // in the order in which they are taken off the peak
	excess  float64
}

// waterfallOf splits the entry's step by its phases, or is nil for a row without a share of peak or without phases. The peak is the one measured on the
// device, or else the vendor's.
func waterfallOf(e *Entry) *waterfall {
	r := e.Row
	share, basis := r.ShareMeasuredPct, r.ShareMeasuredBasis
	if !share.Known() {
		share, basis = r.ShareVendorPct, r.ShareVendorBasis
	}
	step := r.StepMedianS.Or(0)
	forward, phased := r.ForwardS.Get()
	if !share.Known() || !phased || !(step > 0) {
		return nil
	}
	w := &waterfall{entry: e, basis: basis, step: step, reached: part{"reached", "s1", step * share.Or(0) / 100}}
	passes := forward + r.BackwardS.Or(0)
	w.losses = []part{
		{"forward and backward below peak", "s2", max(0, passes-w.reached.seconds)},
		{"optimizer", "s3", r.OptimizerS.Or(0)},
		{"exposed communication", "s4", r.CommExposedS.Or(0)},
		{"pipeline bubble", "s5", r.BubbleS.Or(0)},
	}
	w.settle()
	return w
}

// settle gives the time that no part explains to a last one, or notes by how much the parts exceed the step: each is the mean of the rank where it is
// longest, and ranks differ.
func (w *waterfall) settle() {
	rest := w.step - w.reached.seconds
	for _, p := range w.losses {
		rest -= p.seconds
	}
	if rest < 0 {
		w.excess = -rest
		return
	}
	w.losses = append(w.losses, part{"not explained", "s8", rest})
}

// whole is what 100 % stands for: the step, or the parts if they exceed it.
func (w *waterfall) whole() float64 { return w.step + w.excess }

func (w *waterfall) percent(p part) float64 { return p.seconds / w.whole() * 100 }

func (w *waterfall) tip(p part) string {
	return fmt.Sprintf("%s: %s, %s, %s of the step", w.entry.Name(), p.name, duration(p.seconds), percent(w.percent(p)))
}

// lossesFigure has a bar per row: the share of the step that the work needs at peak speed, then where the rest went.
func (m *Machine) lossesFigure() *figure.Figure {
	var falls []*waterfall
	for _, e := range byTechnique(m.measured()) {
		if w := waterfallOf(e); w != nil {
			falls = append(falls, w)
		}
	}
	if len(falls) == 0 {
		return nil
	}
	const left, top, height = 350, 66, 20
	f := figure.New("losses-"+m.Letter, "Where each step's time went on "+m.Title(), chartWidth, top+height*float64(len(falls))+8)
	scale := axis{0, 100, left, chartWidth - 20}
	partsLegend(f, falls)
	scale.percents(f, top-8, f.H-8)
	for i, w := range falls {
		y := top + height*float64(i)
		f.Label(left-10, y+12, cut(w.entry.Name(), left-20), 11, figure.End, figure.Text)
		w.bar(f, scale, y, height-5)
	}
	return f
}

func (w *waterfall) bar(f *figure.Figure, scale axis, y, height float64) {
	at := 0.0
	for _, p := range append([]part{w.reached}, w.losses...) {
		width := scale.at(w.percent(p)) - scale.low
		x := scale.at(at)
		at += w.percent(p)
		if width <= 0 {
			continue
		}
		f.Rect(x, y, width, height, p.ink, w.tip(p))
		if text := fmt.Sprintf("%.0f %%", w.percent(p)); p == w.reached && width > 40 {
			f.Bold(x+6, y+height/2+4, text, 11, figure.Start, figure.On)
		}
	}
}

// partsLegend names the parts that any bar has.
func partsLegend(f *figure.Figure, falls []*waterfall) {
	x, y := 12.0, 15.0
	seen := map[string]bool{}
	for _, w := range falls {
		for _, p := range append([]part{w.reached}, w.losses...) {
			if seen[p.name] || p.seconds == 0 {
				continue
			}
			seen[p.name] = true
			width := figure.TextWidth(p.name, labelSize) + 40
			if x+width > f.W {
				x, y = 12, y+20
			}
			f.Rect(x, y-9, 12, 10, p.ink, "")
			f.Label(x+18, y, p.name, labelSize, figure.Start, figure.Muted)
			x += width
		}
	}
}

// memoryOf is the memory of a rank.
func memoryOf(e *Entry) results.Opt[float64] { return optional(e.Row.PeakBytesPerRank) }
