package report

import (
	"fmt"
	"math"
	"slices"

	"ofpeak/results"
	"ofpeak/results/chips"
	"ofpeak/results/report/figure"
)

// roof is what one device, or a rank's share of one, can do.
type roof struct {
	flops float64 // per second
	bytes float64 // per second, of its memory
}

// balance is the intensity, in FLOPs per byte, at which both keep pace.
func (r roof) balance() float64 { return r.flops / r.bytes }

// roofOf is the roof over a row: the peak that its share divides by, and the memory bandwidth that was measured, or both as the vendor has them.
func roofOf(r *results.Row) (roof, bool) {
	share, ok := r.ShareMeasuredPct.Get()
	bytes, measured := r.MemoryGBPerS.Get()
	bytes *= 1e9
	if !ok || !measured {
		chip, known := chips.Builtin().Lookup(r.Chip)
		share, ok = r.ShareVendorPct.Get()
		if !known || !ok || !chip.MemTBPerS.Known() {
			return roof{}, false
		}
		bytes = chip.MemTBPerS.Or(0) * 1e12
	}
	flops := r.TFLOPSPerDevice.Or(0) * 1e12 / (share / 100)
	return roof{flops, bytes}, flops > 0 && bytes > 0 && !math.IsInf(flops, 0)
}

// spot is a row or an operator under its roof, both axes relative to it.
type spot struct {
	intensity float64 // FLOPs per byte / balance; 0: an operator that does not multiply
	share     float64 // of the peak in percent, or of the bandwidth where there are no FLOPs
	tip       string
	entry     *Entry
	op        string // "": the row
}

// brief is the share of a step below which an operator that does not multiply is left out: such calls are latency alone.
const brief = 1e-3

// talk are the operators that move data between ranks, and whose time is in part waiting.
var talk = []string{"all-gather", "all-reduce", "all-to-all", "barrier", "broadcast", "recv", "reduce-scatter", "send"}

// spots are the row and its operators, or nil where it was not profiled or has no roof.
func (e *Entry) spots() []spot {
	r := e.Row
	over, ok := roofOf(r)
	step := r.StepMedianS.Or(0)
	if !ok || len(r.Ops) == 0 || !(step > 0) {
		return nil
	}
	var out []spot
	add := func(op string, flops, bytes, seconds float64) {
		if flops > 0 && bytes > 0 && seconds > 0 {
			s := spot{flops / bytes / over.balance(), flops / seconds / over.flops * 100, "", e, op}
			s.tip = fmt.Sprintf("%s: %s GFLOPS, %s of the peak; %s FLOPs per byte", spotName(e, op), digits(flops/seconds/1e9, 3), percent(s.share), digits(flops/bytes, 3))
			out = append(out, s)
		}
	}
	flops, bytes := 0.0, 0.0
	for _, op := range r.Ops {
		flops, bytes = flops+op.FLOPs, bytes+op.Bytes
		add(op.Name, op.FLOPs, op.Bytes, op.Seconds)
		if op.FLOPs == 0 && op.Bytes > 0 && op.Seconds > brief*step && !slices.Contains(talk, op.Name) {
			s := spot{0, op.Bytes / op.Seconds / over.bytes * 100, "", e, op.Name}
			s.tip = fmt.Sprintf("%s: %s GB/s, %s of the memory bandwidth", spotName(e, op.Name), digits(op.Bytes/op.Seconds/1e9, 3), percent(s.share))
			out = append(out, s)
		}
	}
	add("", flops, bytes, step)
	return out
}

func spotName(e *Entry, op string) string {
	if op == "" {
		return e.Name()
	}
	return op + " in " + e.Name()
}

// rooflineFigure has every profiled row and operator of a machine under one roof: the axes are relative to what the row's precision and cores allow, so that
// rows of different peaks share it (Williams, Waterman and Patterson, Roofline, CACM 52(4), 2009).
func (m *Machine) rooflineFigure() *figure.Figure {
	var all []spot
	for _, e := range byTechnique(m.measured()) {
		all = append(all, e.spots()...)
	}
	if len(all) == 0 {
		return nil
	}
	alone := slices.DeleteFunc(slices.Clone(all), func(s spot) bool { return s.intensity > 0 })
	multiply := slices.DeleteFunc(slices.Clone(all), func(s spot) bool { return s.intensity == 0 })
	const left, strip, top, right, height = 64, 100, 80, 190, 420
	f := figure.New("roofline-"+m.Letter, "Rows and operators under the roofline of "+m.Title(), chartWidth, top+height+48)
	x, y := logAxis(multiply, func(s spot) float64 { return s.intensity }, 0.5, 2), logAxis(all, func(s spot) float64 { return s.share }, 25, 100)
	x.low, x.high, y.low, y.high = left+strip, chartWidth-right, top+height, top
	rooflineGrid(f, x, y)
	bandwidthStrip(f, left, x.low-20, y, alone)
	slices.SortStableFunc(multiply, func(a, b spot) int { return len(b.op) - len(a.op) }) // rows lie on top
	for _, s := range multiply {
		ink := techniqueInk(s.entry.Row.Technique)
		if s.op != "" {
			f.Dot(x.at(s.intensity), y.at(s.share), 2.2, ink, false, s.tip)
			continue
		}
		f.Dot(x.at(s.intensity), y.at(s.share), 6.4, figure.Paper, false, "")
		f.Dot(x.at(s.intensity), y.at(s.share), 5, ink, false, s.tip)
	}
	nameOperators(f, x, y, multiply)
	techniqueLegend(f, all)
	return f
}

// bandwidthStrip stands beside the chart: operators that do not multiply, a column each, by their share of the memory bandwidth.
func bandwidthStrip(f *figure.Figure, from, to float64, y logarithmic, alone []spot) {
	var ops []string
	for _, s := range alone {
		if !slices.Contains(ops, s.op) {
			ops = append(ops, s.op)
		}
	}
	slices.Sort(ops)
	for share := 100.0; math.Log2(share) >= y.from; share /= 2 {
		f.Line(from, y.at(share), to, y.at(share), figure.Grid, 1)
		f.Label(from-8, y.at(share)+4, digits(share, 3)+" %", 11, figure.End, figure.Muted)
	}
	f.Label(from, y.high-12, "of bandwidth", labelSize, figure.Start, figure.Muted)
	f.Label(from, y.low+16, "no FLOPs", 11, figure.Start, figure.Muted)
	for _, s := range alone {
		column := (float64(slices.Index(ops, s.op)) + 0.5) / float64(len(ops))
		f.Dot(from+column*(to-from), y.at(s.share), 2.2, techniqueInk(s.entry.Row.Technique), false, s.tip)
	}
}

// logarithmic is an axis of powers of two.
type logarithmic struct{ axis }

func (a logarithmic) at(v float64) float64 {
	return a.axis.at(min(max(math.Log2(v), a.from), a.to))
}

// logAxis covers the spots and the range from low to high.
func logAxis(all []spot, of func(spot) float64, low, high float64) logarithmic {
	for _, s := range all {
		low, high = min(low, of(s)), max(high, of(s))
	}
	return logarithmic{axis{from: math.Floor(math.Log2(max(low, 1.0/4096))), to: math.Log2(high)}}
}

func rooflineGrid(f *figure.Figure, x, y logarithmic) {
	for v := x.from; v <= x.to; v++ {
		f.Line(x.axis.at(v), y.high, x.axis.at(v), y.low, figure.Grid, 1)
		f.Label(x.axis.at(v), y.low+16, digits(math.Exp2(v), 2)+"×", 11, figure.Middle, figure.Muted)
	}
	for share := 100.0; math.Log2(share) >= y.from; share /= 2 {
		f.Line(x.low, y.at(share), x.high, y.at(share), figure.Grid, 1)
	}
	f.Label(x.low, y.high-12, "of the peak", labelSize, figure.Start, figure.Muted)
	f.Label(x.high, y.low+36, "FLOPs per byte, over those at which memory and multipliers keep pace", labelSize, figure.End, figure.Muted)
	start := max(x.from, y.from-math.Log2(100)) // where the slope leaves the chart
	f.Path([]figure.Point{{X: x.axis.at(start), Y: y.at(100 * math.Exp2(start))}, {X: x.at(1), Y: y.at(100)}, {X: x.high, Y: y.at(100)}}, figure.Text, 2, false)
}

// nameOperators writes each operator's name beside the middle of its spots, further down where another name stands.
func nameOperators(f *figure.Figure, x, y logarithmic, all []spot) {
	spots := map[string][]spot{}
	for _, s := range all {
		if s.op != "" {
			spots[s.op] = append(spots[s.op], s)
		}
	}
	type name struct {
		text string
		x, y float64
	}
	var names []name
	for op, of := range spots {
		slices.SortFunc(of, func(a, b spot) int { return better(a.share, b.share, true) })
		middle := of[len(of)/2]
		names = append(names, name{op, x.at(middle.intensity), y.at(middle.share)})
	}
	slices.SortFunc(names, func(a, b name) int {
		if a.y != b.y {
			return better(a.y, b.y, true)
		}
		return slices.Compare([]string{a.text}, []string{b.text})
	})
	below := 0.0
	for _, n := range names {
		below = max(below+13, n.y)
		f.Line(n.x, n.y, x.high+14, below, figure.Axis, 0.5)
		f.Label(x.high+18, below+4, cut(n.text, f.W-x.high-20), 11, figure.Start, figure.Muted)
	}
}

// techniqueInk is the same in every machine's figure.
func techniqueInk(t results.Technique) figure.Ink {
	return figure.Series[slices.Index(results.Techniques, t)]
}

// techniqueLegend names the techniques that have a spot.
func techniqueLegend(f *figure.Figure, all []spot) {
	at := 64.0
	for _, t := range results.Techniques {
		if slices.ContainsFunc(all, func(s spot) bool { return s.entry.Row.Technique == t }) {
			f.Dot(at+5, 11, 5, techniqueInk(t), false, "")
			f.Label(at+16, 15, string(t), labelSize, figure.Start, figure.Muted)
			at += figure.TextWidth(string(t), labelSize) + 40
		}
	}
	f.Label(64, 35, "large: a row; small: one of its operators, at the left those that do not multiply", labelSize, figure.Start, figure.Muted)
}
