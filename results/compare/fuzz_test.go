package compare

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"ofpeak/results"
	"ofpeak/results/render"
)

// FuzzCompare compares two files of rows whose settings are drawn from a few, chosen by any filter. Pairs agree in every setting but the threads, no row is both
// paired and refused, and an error of the filter is one line.
func FuzzCompare(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 255}, "")
	f.Add([]byte{7, 7, 7, 130, 131}, "technique:(sparse OR baseline) -precision:fp32 host:/h/")
	f.Add([]byte{1}, `"a:b":c (`)
	f.Fuzz(func(t *testing.T, picks []byte, expression string) {
		filter, err := ParseFilter(expression)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "--filter ") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		table, err := Compare([]*results.File{pickRows("a.csv", picks), pickRows("b.csv", picks[len(picks)/2:])}, Options{ThresholdPct: 1, Filter: filter})
		if err != nil {
			return // a filter that cannot be evaluated
		}
		told := map[Ref]bool{}
		for _, p := range table.Pairs {
			told[p.Base], told[p.Other] = true, true
			if key(p.Base.Row, true) != key(p.Other.Row, true) || unusable(p.Base.Row) != "" || unusable(p.Other.Row) != "" {
				t.Fatalf("lines %d and %d are paired", p.Base.Line, p.Other.Line)
			}
		}
		for _, r := range table.Refused {
			if told[r.Ref] || r.Reason == "" {
				t.Fatalf("line %d is refused and paired, or without a reason: %q", r.Line, r.Reason)
			}
		}
		for _, format := range []render.Format{render.Text, render.CSV, render.Markdown} {
			if err := table.Write(io.Discard, format, 80); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.WriteJSON(io.Discard); err != nil {
			t.Fatal(err)
		}
	})
}

// pickRows is a file with a row for each byte: two bits for each of what may differ.
func pickRows(path string, picks []byte) *results.File {
	rng := rand.New(rand.NewPCG(1, 1))
	var rows []results.Row
	for _, b := range picks[:min(len(picks), 12)] {
		r := newRow(rng, results.Techniques[b&3], 0.01, []int{1, 3, 6, 6}[b>>2&3])
		r.Seed = int64(b >> 4 & 3)
		r.Status = []results.Status{results.OK, results.OK, results.Failed, results.Imported}[b>>6]
		rows = append(rows, r)
	}
	return newFile(path, rows...)
}
