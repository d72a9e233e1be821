package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ofpeak/results/report/figure"
)

// curve is how one way of splitting gets faster with more ranks.
type curve struct {
	name   string
	points []*Entry // by ranks
}

// speedup is the row's speed over that of one rank with as many threads.
func speedup(e *Entry) float64 { return e.Row.ScalingEfficiency.Or(0) * float64(e.Row.Ranks) }

// curves are the rows that have a scaling efficiency, joined where nothing but the sizes of the split differs.
func curves(entries []*Entry) []curve {
	var out []curve
	for _, e := range byTechnique(entries) {
		if !e.Row.ScalingEfficiency.Known() || e.Row.Ranks < 2 {
			continue
		}
		name := way(e)
		i := slices.IndexFunc(out, func(c curve) bool { return c.name == name })
		if i < 0 {
			out, i = append(out, curve{name: name}), len(out)
		}
		out[i].points = append(out[i].points, e)
	}
	for _, c := range out {
		slices.SortStableFunc(c.points, func(a, b *Entry) int { return a.Row.Ranks - b.Row.Ranks })
	}
	return out
}

// way names the split without its sizes.
func way(e *Entry) string {
	var words []string
	for word := range strings.FieldsSeq(e.Name()) {
		if key, _, found := strings.Cut(word, "="); found && key != "zero" {
			if key == "microbatches" || key == "threads" {
				continue
			}
			word = key
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// scalingFigure has a curve per way of splitting beside the ideal, both axes in powers of two.
func (m *Machine) scalingFigure() *figure.Figure {
	all := curves(m.measured())
	if len(all) == 0 {
		return nil
	}
	maxRanks, least := 2.0, 1.0
	for _, c := range all {
		for _, e := range c.points {
			maxRanks, least = max(maxRanks, float64(e.Row.Ranks)), min(least, speedup(e))
		}
	}
	const left, top, right = 60, 44, 420
	height := max(300, 17*float64(len(all))+20)
	f := figure.New("scaling-"+m.Letter, "Speed-up over one rank against ideal on "+m.Title(), chartWidth, top+height+40)
	x := axis{0, math.Ceil(math.Log2(maxRanks)), left, chartWidth - right}
	y := axis{math.Floor(math.Log2(max(least, 1.0/64))), x.to, top + height, top}
	scalingGrid(f, x, y)
	f.Path([]figure.Point{{X: x.low, Y: y.at(0)}, {X: x.high, Y: y.at(x.to)}}, figure.Text, 1.5, true)
	slices.SortStableFunc(all, func(a, b curve) int { return better(last(a), last(b), false) })
	for i, c := range all {
		c.draw(f, x, y, figure.Series[i%figure.Lines], top+8+17*float64(i))
	}
	return f
}

func last(c curve) float64 { return c.points[len(c.points)-1].Row.ScalingEfficiency.Or(0) }

func scalingGrid(f *figure.Figure, x, y axis) {
	f.Label(x.low, 16, "speed-up over one rank with as many threads", labelSize, figure.Start, figure.Muted)
	f.Label(x.high, y.low+34, "ranks", labelSize, figure.End, figure.Muted)
	f.Path([]figure.Point{{X: x.high - 128, Y: 12}, {X: x.high - 98, Y: 12}}, figure.Text, 1.5, true)
	f.Label(x.high-92, 16, "ideal", labelSize, figure.Start, figure.Muted)
	f.Dot(x.high-44, 12, 4, figure.Text, true, "")
	f.Label(x.high-34, 16, "a caution applies: see the rows", labelSize, figure.Start, figure.Muted)
	for v := x.from; v <= x.to; v++ {
		f.Line(x.at(v), y.high, x.at(v), y.low, figure.Grid, 1)
		f.Label(x.at(v), y.low+18, fmt.Sprintf("%.0f", math.Exp2(v)), 11, figure.Middle, figure.Muted)
	}
	for v := y.from; v <= y.to; v++ {
		f.Line(x.low, y.at(v), x.high, y.at(v), figure.Grid, 1)
		f.Label(x.low-8, y.at(v)+4, digits(math.Exp2(v), 3)+"×", 11, figure.End, figure.Muted)
	}
}

// draw draws a curve from one rank on, and its name in the list on the right, led there by a thin line.
func (c curve) draw(f *figure.Figure, x, y axis, ink figure.Ink, listed float64) {
	line := []figure.Point{{X: x.at(0), Y: y.at(0)}}
	place := func(e *Entry) figure.Point {
		return figure.Point{X: x.at(math.Log2(float64(e.Row.Ranks))), Y: y.at(math.Log2(max(speedup(e), math.Exp2(y.from))))}
	}
	for _, e := range c.points {
		line = append(line, place(e))
	}
	f.Path(line, ink, 1.8, false)
	for _, e := range c.points {
		p := place(e)
		f.Dot(p.X, p.Y, 4, ink, e.Row.Reason != "", fmt.Sprintf("%s: %s, %s of ideal", e.Name(), times(speedup(e)), percent(e.Row.ScalingEfficiency.Or(0)*100)))
	}
	e := c.points[len(c.points)-1]
	f.Path([]figure.Point{line[len(line)-1], {X: x.high + 24, Y: listed - 4}}, figure.Axis, 0.6, true)
	f.Dot(x.high+32, listed-4, 4, ink, e.Row.Reason != "", "")
	f.Bold(x.high+44, listed, fmt.Sprintf("%.0f %%", e.Row.ScalingEfficiency.Or(0)*100), 11, figure.Start, figure.Text)
	f.Label(x.high+88, listed, cut(fmt.Sprintf("of %d: %s", e.Row.Ranks, c.name), f.W-x.high-90), 11, figure.Start, figure.Muted)
}
