package report

import (
	"slices"

	"ofpeak/results"
	"ofpeak/results/report/figure"
)

// memoryFigure has a bar per row for the memory of a rank, model by model, with a mark where the row without the technique stands.
func (m *Machine) memoryFigure() *figure.Figure {
	models := map[string][]*Entry{}
	var order []string
	for _, e := range byTechnique(m.measured()) {
		if !memoryOf(e).Known() {
			continue
		}
		model := results.ModelOf(e.Row.Case)
		if !slices.Contains(order, model) {
			order = append(order, model)
		}
		models[model] = append(models[model], e)
	}
	if len(order) == 0 {
		return nil
	}
	const left, top, height, heading = 350, 30, 20, 28
	h := float64(top)
	for _, model := range order {
		h += heading + height*float64(len(models[model]))
	}
	f := figure.New("memory-"+m.Letter, "Memory per rank on "+m.Title(), chartWidth, h+8)
	f.Rect(left, 6, 12, 10, figure.Series[2], "")
	f.Label(left+18, 15, "most memory of a rank at once", labelSize, figure.Start, figure.Muted)
	f.Rect(left+230, 4, 3, 14, figure.Text, "")
	f.Label(left+240, 15, "the same without the technique", labelSize, figure.Start, figure.Muted)
	y := float64(top)
	for _, model := range order {
		f.Bold(left-10, y+18, model, labelSize, figure.End, figure.Text)
		y += heading
		scale := axis{0, most(models[model]), left, chartWidth - 90}
		for _, e := range models[model] {
			m.memoryBar(f, e, scale, left, y, height-5)
			y += height
		}
	}
	return f
}

func (m *Machine) memoryBar(f *figure.Figure, e *Entry, scale axis, left, y, height float64) {
	bytes := memoryOf(e).Or(0)
	f.Label(left-10, y+12, cut(e.Name(), left-20), 11, figure.End, figure.Text)
	f.Rect(left, y, scale.at(bytes)-left, height, figure.Series[2], e.Name()+": "+size(bytes))
	end := bytes
	if p := m.partner(e, e.Row.Technique, sameInAll); p != nil {
		if v, ok := memoryOf(p).Get(); ok {
			f.Rect(scale.at(v)-1.5, y-1, 3, height+2, figure.Text, p.Name()+": "+size(v))
			end = max(end, v)
		}
	}
	f.Label(scale.at(end)+8, y+12, size(bytes), 11, figure.Start, figure.Muted)
}

// most is the largest memory of a rank.
func most(entries []*Entry) float64 {
	v := 0.0
	for _, e := range entries {
		v = max(v, memoryOf(e).Or(0))
	}
	return v
}

// memoryOf is the memory of a rank.
func memoryOf(e *Entry) results.Opt[float64] { return optional(e.Row.PeakBytesPerRank) }
