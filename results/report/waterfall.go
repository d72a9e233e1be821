package report

import (
	"fmt"
	"slices"
	"strings"

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
	step    float64
	share   float64 // of the peak, percent
	basis   string  // of the peak
	reached part    // the time that the work needs at peak speed
	losses  []part  // in the order in which they are taken off the peak
	excess  float64 // by how much the parts exceed the step
}

// waterfallOf splits the entry's step by its profile, or else by its phases; nil for a row without a share of peak or without either. The peak is the one
// measured on the device, or else the vendor's, beside which a profile has no ideal.
func waterfallOf(e *Entry) *waterfall {
	r := e.Row
	share, basis := r.ShareMeasuredPct, r.ShareMeasuredBasis
	if !share.Known() {
		share, basis = r.ShareVendorPct, r.ShareVendorBasis
	}
	step := r.StepMedianS.Or(0)
	if !share.Known() || !(step > 0) {
		return nil
	}
	w := &waterfall{entry: e, step: step, share: share.Or(0), basis: basis, reached: part{"reached", "s1", step * share.Or(0) / 100}}
	profile := r.Waterfall()
	switch {
	case len(profile) > 0 && profile[0].Column == "wf_ideal_s":
		w.losses = profiled(profile[1:])
	case len(profile) > 0:
		w.losses = profiled(belowPeak(profile, r.Ops, w.reached.seconds))
	case r.ForwardS.Known():
		w.losses = phased(r, w.reached.seconds)
	default:
		return nil
	}
	w.settle()
	return w
}

// profileInks are the inks of the profile's parts. Related losses share a hue's neighbours: work, then waiting, then the machine.
var profileInks = map[string]figure.Ink{
	"wf_matmul_s": "s2", "wf_attention_s": "s6", "wf_memory_bound_s": "s9", "wf_recompute_s": "s10", "wf_optimizer_s": "s3",
	"wf_comm_s": "s4", "wf_bubble_s": "s5", "wf_imbalance_s": "s11", "wf_host_s": "s8", "wf_throttle_s": "s7",
}

// profiled are the losses that the step's profile tells apart. A part below zero, which beat the measured peak, is no loss.
func profiled(profile []results.Part) []part {
	var out []part
	for _, p := range profile {
		out = append(out, part{p.Label, profileInks[p.Column], max(0, p.Seconds)})
	}
	return out
}

// belowPeak takes the time that the work needs at peak speed off products and attention, each by its part of the FLOPs.
func belowPeak(profile []results.Part, ops results.OpTimes, reached float64) []results.Part {
	attention, all := 0.0, 0.0
	for _, op := range ops {
		all += op.FLOPs
		if strings.HasPrefix(op.Name, "attention.") {
			attention += op.FLOPs
		}
	}
	share := 0.0
	if all > 0 {
		share = attention / all
	}
	out := slices.Clone(profile)
	for i := range out {
		switch out[i].Column {
		case "wf_matmul_s":
			out[i].Seconds -= reached * (1 - share)
		case "wf_attention_s":
			out[i].Seconds -= reached * share
		}
	}
	return out
}

// phased are the losses that the phases alone tell apart.
func phased(r *results.Row, reached float64) []part {
	return []part{
		{"forward and backward below peak", "s2", max(0, r.ForwardS.Or(0)+r.BackwardS.Or(0)-reached)},
		{"optimizer", "s3", r.OptimizerS.Or(0)},
		{"exposed communication", "s4", r.CommExposedS.Or(0)},
		{"pipeline bubble", "s5", r.BubbleS.Or(0)},
	}
}

// settle gives the time that no part explains to a last one, or notes by how much the parts exceed the step.
func (w *waterfall) settle() {
	rest := w.step - w.reached.seconds
	for _, p := range w.losses {
		rest -= p.seconds
	}
	if rest < 0 {
		w.excess = -rest
		return
	}
	w.losses = append(w.losses, part{"not explained", "s12", rest})
}

// whole is what 100 % stands for: the step, or the parts if they exceed it.
func (w *waterfall) whole() float64 { return w.step + w.excess }

func (w *waterfall) percent(p part) float64 { return p.seconds / w.whole() * 100 }

func (w *waterfall) parts() []part { return append([]part{w.reached}, w.losses...) }

func (w *waterfall) tip(p part) string {
	return fmt.Sprintf("%s: %s, %s, %s of the step", w.entry.Name(), p.name, duration(p.seconds), percent(w.percent(p)))
}

// largest is the largest loss.
func (w *waterfall) largest() part {
	return slices.MaxFunc(w.losses, func(a, b part) int { return better(b.seconds, a.seconds, false) })
}

// summary is the waterfall in one line, named as the row is.
func (w *waterfall) summary(name string) string {
	s := fmt.Sprintf("%s: %s of peak reached", name, percent(w.share))
	if l := w.largest(); l.seconds > 0 {
		s += fmt.Sprintf("; most of the rest: %s, %s of the step", l.name, percent(w.percent(l)))
	}
	return s
}

// waterfalls are those of the machine's measured rows.
func (m *Machine) waterfalls() []*waterfall {
	var out []*waterfall
	for _, e := range byTechnique(m.measured()) {
		if w := waterfallOf(e); w != nil {
			out = append(out, w)
		}
	}
	return out
}

// lossesFigure has a bar per row: the share of the step that the work needs at peak speed, then where the rest went.
func (m *Machine) lossesFigure() *figure.Figure {
	falls := m.waterfalls()
	if len(falls) == 0 {
		return nil
	}
	const left, height = 350, 20
	f := figure.New("losses-"+m.Letter, "Where each step's time went on "+m.Title(), chartWidth, 0)
	top := partsLegend(f, falls) + 34
	f.H = top + height*float64(len(falls)) + 8
	scale := axis{0, 100, left, chartWidth - 20}
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
	for _, p := range w.parts() {
		width := scale.at(w.percent(p)) - scale.low
		if width > 0 {
			f.Rect(scale.at(at), y, width, height, p.ink, w.tip(p))
		}
		at += w.percent(p)
	}
	if text := fmt.Sprintf("%.0f %%", w.share); scale.at(w.percent(w.reached))-scale.low > 40 {
		f.Bold(scale.low+6, y+height/2+4, text, 11, figure.Start, figure.On)
	}
}

// partsLegend names the parts that any bar has, in lines, and returns where the last line stands.
func partsLegend(f *figure.Figure, falls []*waterfall) float64 {
	x, y := 12.0, 15.0
	for _, p := range legendParts(falls) {
		width := figure.TextWidth(p.name, labelSize) + 40
		if x+width > f.W {
			x, y = 12, y+20
		}
		f.Rect(x, y-9, 12, 10, p.ink, "")
		f.Label(x+18, y, p.name, labelSize, figure.Start, figure.Muted)
		x += width
	}
	return y
}

// legendParts are the parts of which any waterfall has some, what none explains last.
func legendParts(falls []*waterfall) []part {
	var out []part
	for _, w := range falls {
		for _, p := range w.parts() {
			if w.percent(p) >= 0.05 && !slices.ContainsFunc(out, func(q part) bool { return q.name == p.name }) {
				out = append(out, p)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b part) int { return inkOrder(a) - inkOrder(b) })
	return out
}

// inkOrder is the place of a part in legends: as in the bars.
func inkOrder(p part) int {
	return slices.Index([]figure.Ink{"s1", "s2", "s6", "s9", "s10", "s3", "s4", "s5", "s11", "s8", "s7", "s12"}, p.ink)
}

// stepsFigure is the waterfall of one row, a line for each part: from all of the step at the top down to what was reached.
func (w *waterfall) stepsFigure(name string) *figure.Figure {
	losses := slices.DeleteFunc(slices.Clone(w.losses), func(p part) bool { return w.percent(p) < 0.05 })
	const left, top, height = 280, 24, 22
	f := figure.New(name, "From peak to what was reached: "+w.entry.Name(), chartWidth, top+height*float64(len(losses)+2)+10)
	scale := axis{0, 100, left, chartWidth - 150}
	scale.percents(f, top-4, f.H-6)
	line := func(i int, what string, from, to float64, p part) {
		y := top + height*float64(i) + 2
		f.Label(left-10, y+13, what, labelSize, figure.End, figure.Text)
		f.Rect(scale.at(from), y, max(1, scale.at(to)-scale.at(from)), height-6, p.ink, w.tip(p))
		f.Label(scale.at(to)+8, y+13, percent(to-from)+", "+duration(p.seconds), 11, figure.Start, figure.Muted)
	}
	line(0, "step, if all of it ran at peak", 0, 100, part{"the whole step", "s13", w.whole()})
	at := 100.0
	for i, p := range losses {
		line(i+1, "− "+p.name, at-w.percent(p), at, p)
		at -= w.percent(p)
		x, y := scale.at(at), top+height*float64(i+1)+2
		f.Line(x, y+height-6, x, y+height, figure.Axis, 1)
	}
	line(len(losses)+1, "= reached", 0, w.percent(w.reached), w.reached)
	return f
}

// stepsOf is a waterfall's figure with its summary.
type stepsOf struct {
	summary string
	figure  *figure.Figure
}

// steps are the figures of the waterfalls. Where there are several machines their letters stand before the rows' names.
func (r *Report) steps(m *Machine) []stepsOf {
	var out []stepsOf
	for i, w := range m.waterfalls() {
		name := w.entry.Name()
		if len(r.Machines) > 1 {
			name = m.Letter + " " + name
		}
		out = append(out, stepsOf{w.summary(name), w.stepsFigure(fmt.Sprintf("steps-%s-%d", m.Letter, i+1))})
	}
	return out
}
