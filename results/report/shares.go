package report

import (
	"fmt"
	"strings"

	"ofpeak/results"
	"ofpeak/results/report/figure"
)

// base is one of the three denominators.
type base struct {
	name  string
	ink   figure.Ink
	share func(*results.Row) (results.Opt[float64], string) // with the basis in words
}

var bases = []base{
	{"measured", figure.Series[0], func(r *results.Row) (results.Opt[float64], string) { return r.ShareMeasuredPct, r.ShareMeasuredBasis }},
	{"vendor", figure.Series[1], func(r *results.Row) (results.Opt[float64], string) { return r.ShareVendorPct, r.ShareVendorBasis }},
	{"survey", figure.Series[2], func(r *results.Row) (results.Opt[float64], string) { return r.ShareSurveyPct, r.ShareSurveyBasis }},
}

// group is the rows of one technique and precision.
type group struct {
	technique results.Technique
	precision results.Precision
	entries   []*Entry
}

// groups are the rows of the device's own engine by technique and precision.
func groups(entries []*Entry) []group {
	var out []group
	for _, e := range byTechnique(entries) {
		if n := len(out); n == 0 || out[n-1].technique != e.Row.Technique || out[n-1].precision != e.Row.Precision {
			out = append(out, group{technique: e.Row.Technique, precision: e.Row.Precision})
		}
		out[len(out)-1].entries = append(out[len(out)-1].entries, e)
	}
	return out
}

// best is the row with the largest share on a base, or nil.
func (g group) best(b base) (best *Entry, most float64) {
	for _, e := range g.entries {
		share, _ := b.share(e.Row)
		if v, ok := share.Get(); ok && (best == nil || v > most) {
			best, most = e, v
		}
	}
	return best, most
}

// known are the bases that any of the entries has a share on.
func known(entries []*Entry) []base {
	var out []base
	for _, b := range bases {
		if best, _ := (group{entries: entries}).best(b); best != nil {
			out = append(out, b)
		}
	}
	return out
}

const (
	chartWidth = 920
	labelSize  = 12
	lane       = 16 // height of a bar with its gap
)

// sharesFigure shows, by technique and precision, the share of peak of each row as a dot and of the best as a bar, on each base that is known.
func (m *Machine) sharesFigure() *figure.Figure {
	entries := m.measured()
	lanes := known(entries)
	if len(lanes) == 0 {
		return nil
	}
	all := groups(entries)
	const left, top, right = 190, 46, 250
	height := float64(len(lanes)*lane + 10)
	f := figure.New("shares-"+m.Letter, "Share of peak by technique and precision on "+m.Title(), chartWidth, top+height*float64(len(all))+8)
	scale := axis{0, 100, left, chartWidth - right}
	legend(f, lanes)
	scale.percents(f, top-8, f.H-8)
	for i, g := range all {
		y := top + height*float64(i)
		f.Label(left-12, y+height/2, string(g.technique)+" "+string(g.precision), labelSize, figure.End, figure.Text)
		for j, b := range lanes {
			g.lane(f, b, scale, y+float64(j*lane)+3)
		}
	}
	return f
}

// lane draws the rows of a group on one base.
func (g group) lane(f *figure.Figure, b base, scale axis, y float64) {
	best, most := g.best(b)
	if best == nil {
		return
	}
	_, basis := b.share(best.Row)
	f.Rect(scale.low, y, scale.at(most)-scale.low, lane-6, b.ink, fmt.Sprintf("%s: %s of %s", best.Name(), percent(most), basis))
	for _, e := range g.entries {
		share, basis := b.share(e.Row)
		if v, ok := share.Get(); ok && e != best {
			f.Dot(scale.at(v), y+lane/2-3, 3.2, figure.Paper, false, "")
			f.Dot(scale.at(v), y+lane/2-3, 2.4, figure.Text, false, fmt.Sprintf("%s: %s of %s", e.Name(), percent(v), basis))
		}
	}
	f.Bold(scale.at(most)+8, y+lane/2+1, percent(most), labelSize, figure.Start, figure.Text)
	if what := strings.TrimSpace(best.Row.Model + " " + best.What()); what != "" {
		f.Label(scale.at(most)+60, y+lane/2+1, cut(what, scale.high+240-scale.at(most)), 11, figure.Start, figure.Muted)
	}
}

// legend names the bases on the top line.
func legend(f *figure.Figure, lanes []base) {
	x := 190.0
	for _, b := range lanes {
		text := "best of the rows, of the " + b.name + " peak"
		f.Rect(x, 6, 12, 10, b.ink, "")
		f.Label(x+18, 15, text, labelSize, figure.Start, figure.Muted)
		x += figure.TextWidth(text, labelSize) + 44
	}
	f.Dot(x+6, 11, 2.4, figure.Text, false, "")
	f.Label(x+16, 15, "another row", labelSize, figure.Start, figure.Muted)
}

// cut shortens a text to a width.
func cut(s string, width float64) string {
	if figure.TextWidth(s, 11) <= width {
		return s
	}
	runes := []rune(s)
	for len(runes) > 1 && figure.TextWidth(string(runes)+"…", 11) > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// axis maps values to places.
type axis struct {
	from, to  float64 // values
	low, high float64 // places
}

func (a axis) at(v float64) float64 { return a.low + (v-a.from)/(a.to-a.from)*(a.high-a.low) }

// percents draws an upright grid with its labels above.
func (a axis) percents(f *figure.Figure, top, bottom float64) {
	for v := a.from; v <= a.to; v += 25 {
		f.Line(a.at(v), top, a.at(v), bottom, figure.Grid, 1)
		f.Label(a.at(v), top-4, fmt.Sprintf("%.0f %%", v), 11, figure.Middle, figure.Muted)
	}
}
