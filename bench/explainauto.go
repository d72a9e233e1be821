package main

import (
	"fmt"
	"io"
	"strings"

	"ofpeak/bench/auto"
	"ofpeak/results"
	"ofpeak/results/render"
)

// writeExplanation says what a search for the fastest split rejected and why, what its finalists were predicted to take and took, and which it chose.
func writeExplanation(w io.Writer, e auto.Explanation) error {
	fmt.Fprintf(w, "\n%d ways to split %s over %d ranks: %d make sense and fit, %d were measured\n", e.Considered, e.Case.Model, e.Case.World(), e.Fit, len(e.Finalists))
	rejected := render.Table{Header: []string{"rejected", "because, for example"}, Right: []int{0}}
	for _, r := range e.Rejected {
		rejected.Rows = append(rejected.Rows, []string{fmt.Sprint(r.Count), r.Why})
	}
	finalists := render.Table{Header: []string{"finalist", "memory", "predicted", "measured", "off%", "tokens/s", "status"}, Right: []int{1, 2, 3, 4, 5}}
	for i, f := range e.Finalists {
		status := string(f.Status)
		if i == e.Chosen {
			status = "chosen"
		}
		predicted := duration(f.Step.Total)
		if e.Case.Device == string(results.Sim) {
			predicted = "" // an interpreter's times
		}
		finalists.Rows = append(finalists.Rows, []string{splitOf(f), bytesText(f.Memory), predicted, format(f.Measured, duration), format(f.Off(), percent), format(f.Tokens, count), status})
	}
	for _, t := range []render.Table{rejected, finalists.DropEmpty()} {
		if len(t.Rows) == 0 {
			continue
		}
		fmt.Fprintln(w)
		if err := t.Write(w, render.Text, render.Width(w)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprint(w, besideOneRank(e))
	return err
}

// splitOf is how a finalist splits, without what all finalists share.
func splitOf(f auto.Finalist) string {
	words := results.Words(f.Case.String(), "technique", "precision", "model", "seed", "device", "layout", "experts", "memory", "threads", "isa")
	if len(words) == 0 {
		return "one rank"
	}
	return strings.Join(words, " ")
}

// besideOneRank is how the choice stands beside one rank with all cores.
func besideOneRank(e auto.Explanation) string {
	if e.Chosen < 0 {
		return ""
	}
	tokens, ok := e.Finalists[e.Chosen].Tokens.Get()
	if !ok || e.Baseline == 0 {
		return ""
	}
	if tokens < e.Baseline {
		return fmt.Sprintf("\none rank with all that this machine has is faster: %s tokens/s in fp32\n", count(e.Baseline))
	}
	return fmt.Sprintf("\n%s times as fast as one rank with all that this machine has, in fp32\n", digits(tokens/e.Baseline))
}

// bytesText has three digits and a binary unit.
func bytesText(n int64) string {
	v, unit := float64(n)/(1<<10), "KiB"
	for _, larger := range []string{"MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, larger
	}
	return digits(v) + " " + unit
}
