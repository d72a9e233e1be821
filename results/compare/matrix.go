package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"ofpeak/results"
	"ofpeak/results/render"
)

// Matrix sums up the pairs by two keys of the other row: geometric means, which do not depend on which file is the base.
type Matrix struct {
	Row, Col []string // keys
	Rows     []string // values of Row, in the order of the pairs
	Cols     []string
	Cells    [][]Cell // [row][column]
}

// Cell is what the pairs of one row and column come to.
type Cell struct {
	Pairs int
	Speed float64              // geometric mean of the ratios of throughput
	Share results.Opt[float64] // geometric mean of the ratios of the share of peak; missing if a pair has none on one basis
}

// ParseKeys reads the value of --row or --col: names of Keys, joined by commas.
func ParseKeys(flag, list string) ([]string, error) {
	var out []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); !isKey(name) {
			return nil, fmt.Errorf("%s %q: %q is no column to group by; use %s", flag, list, name, strings.Join(Keys(), ", "))
		}
		out = append(out, name)
	}
	return out, nil
}

// ShareRatio is the other row's share of peak over the base's, of one basis: the measured peak's if both have it, else the vendor's. It is the ratio of the speeds
// with the difference of the peaks taken out.
func (p Pair) ShareRatio() results.Opt[float64] {
	for _, of := range []func(*results.Row) results.Opt[float64]{
		func(r *results.Row) results.Opt[float64] { return r.ShareMeasuredPct },
		func(r *results.Row) results.Opt[float64] { return r.ShareVendorPct },
	} {
		base, other := of(p.Base.Row).Or(0), of(p.Other.Row).Or(0)
		if base > 0 && other > 0 {
			return results.Finite(other / base)
		}
	}
	return results.Opt[float64]{}
}

// Matrix groups the pairs by keys of the other row.
func (t *Table) Matrix(row, col []string) Matrix {
	m := Matrix{Row: row, Col: col}
	groups := map[[2]string][]Pair{}
	for _, p := range t.Pairs {
		r, c := t.joined(row, p.Other), t.joined(col, p.Other)
		if !slices.Contains(m.Rows, r) {
			m.Rows = append(m.Rows, r)
		}
		if !slices.Contains(m.Cols, c) {
			m.Cols = append(m.Cols, c)
		}
		groups[[2]string{r, c}] = append(groups[[2]string{r, c}], p)
	}
	for _, r := range m.Rows {
		var line []Cell
		for _, c := range m.Cols {
			line = append(line, newCell(groups[[2]string{r, c}]))
		}
		m.Cells = append(m.Cells, line)
	}
	return m
}

func (t *Table) joined(keys []string, r Ref) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = orNone(keyOf(k, t.Files[r.File].Path, r.Row))
	}
	return strings.Join(parts, " ")
}

func newCell(pairs []Pair) Cell {
	c := Cell{Pairs: len(pairs)}
	if len(pairs) == 0 {
		return c
	}
	speed, share, shares := 0.0, 0.0, 0
	for _, p := range pairs {
		speed += math.Log(p.Ratio.Center)
		if v, ok := p.ShareRatio().Get(); ok {
			share += math.Log(v)
			shares++
		}
	}
	c.Speed = math.Exp(speed / float64(len(pairs)))
	if shares == len(pairs) {
		c.Share = results.Finite(math.Exp(share / float64(shares)))
	}
	return c
}

// table has a column for each value of Col.
func (m Matrix) table() render.Table {
	out := render.Table{Header: append([]string{strings.Join(m.Row, " ")}, m.Cols...)}
	for i, r := range m.Rows {
		line := []string{r}
		for j, c := range m.Cells[i] {
			line = append(line, c.String())
			if i == 0 {
				out.Right = append(out.Right, j+1)
			}
		}
		out.Rows = append(out.Rows, line)
	}
	return out
}

// String is the speed, the share of peak and the number of pairs.
func (c Cell) String() string {
	if c.Pairs == 0 {
		return ""
	}
	share := "–"
	if v, ok := c.Share.Get(); ok {
		share = factor(v)
	}
	return fmt.Sprintf("%s / %s (%d)", factor(c.Speed), share, c.Pairs)
}

// outlierDistance is how far from the middle of its technique a pair is an outlier, in standard deviations as the median distance tells them, and outlierLeast
// the least number of pairs that have a middle.
const (
	outlierDistance = 3.5
	outlierLeast    = 5
	deviationOfMAD  = 1.4826 // of a normal distribution
)

// Outliers are the pairs whose ratio is far from the others of the same technique and file (the median absolute deviation; Iglewicz and Hoaglin, How to detect
// and handle outliers, 1993), and by more than the threshold.
func (t *Table) Outliers() []Pair {
	groups := map[string][]Pair{}
	key := func(p Pair) string { return fmt.Sprint(p.Other.File, " ", p.Other.Row.Technique) }
	for _, p := range t.Pairs {
		groups[key(p)] = append(groups[key(p)], p)
	}
	var out []Pair
	for _, p := range t.Pairs {
		if of := groups[key(p)]; len(of) >= outlierLeast && t.isOutlier(p, of) {
			out = append(out, p)
		}
	}
	return out
}

func (t *Table) isOutlier(p Pair, of []Pair) bool {
	logs := make([]float64, len(of))
	for i, q := range of {
		logs[i] = math.Log(q.Ratio.Center)
	}
	middle := median(logs)
	for i := range logs {
		logs[i] = math.Abs(logs[i] - middle)
	}
	distance := math.Abs(math.Log(p.Ratio.Center) - middle)
	return distance > outlierDistance*deviationOfMAD*median(logs) && distance > math.Log1p(t.Options.ThresholdPct/100)
}

// median sorts a copy.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}
