// Package explain shows where the time of rows went: an overview of many, or the waterfall and the operators of one.
package explain

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"ofpeak/results"
	"ofpeak/results/render"
)

// headings of the parts in the overview, by column.
var headings = map[string]string{
	"wf_ideal_s": "ideal", "wf_matmul_s": "matmul", "wf_attention_s": "attention", "wf_memory_bound_s": "memory", "wf_recompute_s": "recompute",
	"wf_optimizer_s": "optimizer", "wf_comm_s": "comm", "wf_bubble_s": "bubble", "wf_imbalance_s": "imbalance", "wf_host_s": "host", "wf_throttle_s": "clock",
}

// Overview has a line for each row that has a waterfall, with the share of the step of each part in percent. A row is named by its number in the
// file, from 1. Parts that no row has are left out. So are those that matter least where the width, if it is not 0, asks for it: they are returned.
func Overview(rows []results.Row, width int) (t render.Table, left []string) {
	t = render.Table{Header: []string{"row", "case", "step"}, Right: []int{0, 2}}
	names, most := columns(), map[string]float64{}
	for i, name := range names {
		t.Header = append(t.Header, headings[name]+"%")
		t.Right = append(t.Right, 3+i)
	}
	for i := range rows {
		parts := rows[i].Waterfall()
		if parts == nil {
			continue
		}
		step := rows[i].StepMedianS.Or(0)
		shares := map[string]string{}
		for _, p := range parts {
			heading := headings[p.Column] + "%"
			most[heading] = max(most[heading], math.Abs(p.Seconds/step))
			if share := fmt.Sprintf("%.1f", p.Seconds/step*100); share != "0.0" && share != "-0.0" {
				shares[p.Column] = share
			}
		}
		cells := []string{fmt.Sprint(i + 1), strings.Join(results.Words(rows[i].Case), " "), seconds(step)}
		for _, name := range names {
			cells = append(cells, shares[name])
		}
		t.Rows = append(t.Rows, cells)
	}
	leastFirst := slices.SortedFunc(maps.Keys(most), func(a, b string) int { return cmp.Or(cmp.Compare(most[a], most[b]), strings.Compare(a, b)) })
	return t.DropEmpty().Narrow(width, leastFirst...)
}

// columns are the waterfall's, in order.
func columns() []string {
	var names []string
	for _, c := range results.Columns() {
		if headings[c] != "" {
			names = append(names, c)
		}
	}
	return names
}

// Title is a row's case, step and share of the measured peak.
func Title(r *results.Row) string {
	s := fmt.Sprintf("%s\n%s a step", r.Case, seconds(r.StepMedianS.Or(0)))
	if share, ok := r.ShareMeasuredPct.Get(); ok {
		s += fmt.Sprintf(", %.1f %% of the peak: %s", share, r.ShareMeasuredBasis)
	}
	if peak, ok := r.PeakBytesPerRank.Get(); ok && r.ModelStateBytes.Known() {
		s += fmt.Sprintf("\n%.4g MB of memory a rank at most; by ZeRO's formula %.4g MB are weights, gradients and optimizer state", float64(peak)/1e6, float64(r.ModelStateBytes.Or(0))/1e6)
	}
	if r.Reason != "" {
		s += "\n" + string(r.Status) + ": " + r.Reason
	}
	return s
}

// Waterfall has a line for each part of the row's step, with a bar of at most so many characters, indented by the parts before it.
func Waterfall(r *results.Row, bar int) render.Table {
	t := render.Table{Header: []string{"where the step went", "time", "share%", ""}, Right: []int{1, 2}}
	step, before := r.StepMedianS.Or(0), 0.0
	for _, p := range r.Waterfall() {
		from, to := place(before/step, bar), place((before+p.Seconds)/step, bar)
		if p.Seconds/step >= 0.005 && to == from {
			to++ // a part that can be read in the table can be seen
		}
		line := ""
		if to > from {
			line = strings.Repeat(" ", from) + strings.Repeat("█", to-from)
		}
		t.Rows = append(t.Rows, []string{p.Label, seconds(p.Seconds), fmt.Sprintf("%.1f", p.Seconds/step*100), line})
		before += p.Seconds
	}
	return t
}

// place is a share's character in a bar.
func place(share float64, width int) int {
	return int(math.Round(min(max(share, 0), 1) * float64(width)))
}

// Operators has a line for each kind of operator of the row: its time on one rank in a step, and at what rates it computes and moves its
// operands.
func Operators(r *results.Row) render.Table {
	t := render.Table{Header: []string{"operator", "time", "share%", "GFLOP/s", "GB/s", "FLOP/byte"}, Right: []int{1, 2, 3, 4, 5}}
	step := r.StepMedianS.Or(0)
	for _, op := range r.Ops {
		t.Rows = append(t.Rows, []string{op.Name, seconds(op.Seconds), fmt.Sprintf("%.1f", op.Seconds/step*100),
			rate(op.FLOPs, op.Seconds*1e9), rate(op.Bytes, op.Seconds*1e9), rate(op.FLOPs, op.Bytes)})
	}
	return t
}

// rate is a quotient to three digits, or nothing where either is zero.
func rate(a, b float64) string {
	if a == 0 || b == 0 {
		return ""
	}
	return fmt.Sprintf("%.3g", a/b)
}

// seconds is a time to three digits.
func seconds(s float64) string {
	d := time.Duration(s * 1e9)
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if float64(d.Abs()) >= 0.9995*float64(unit.size) { // what would round to 1000 of the next
			return fmt.Sprintf("%.3g %s", float64(d)/float64(unit.size), unit.name)
		}
	}
	if d == 0 {
		return "0"
	}
	return fmt.Sprintf("%d ns", d)
}
