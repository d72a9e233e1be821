package compare

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"ofpeak/results"
	"ofpeak/results/render"
)

// mixed is a comparison with every kind of entry.
func mixed(t *testing.T) *Table {
	rng := rand.New(rand.NewPCG(9, 9))
	base := newFile("base.csv", newRow(rng, results.Baseline, 0.1, 12), newRow(rng, results.Sparse, 0.1, 12), newRow(rng, results.ModelParallel, 0.1, 12))
	base.Warnings = []string{"base.csv:9: has no line end (an interrupted write?); its 12 bytes are dropped"}
	other := newFile("other.csv", newRow(rng, results.Baseline, 0.2, 12), newRow(rng, results.Sparse, 0.1, 12), newRow(rng, results.ModelParallel, 0.1, 3))
	other.Rows[1].Settle(results.Failed, "rank 1 died of a signal whose long name does not fit into a narrow terminal at all")
	third := newFile("third.csv", newRow(rng, results.Baseline, 0.1, 12))
	third.Rows[0].B = 8
	return mustCompare(t, base, other, third)
}

func TestTextFitsTheTerminal(t *testing.T) {
	for _, width := range []int{60, 80, 100, 132} {
		var out strings.Builder
		if err := mixed(t).Write(&out, render.Text, width); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("width %d: a line has %d: %q", width, n, line)
			}
		}
		for _, want := range []string{"SLOWER", "<0.001", "A base.csv (base)", "interrupted write", "no such case", "terminal at all"} {
			if want == "<0.001" && width < 80 {
				continue // the verdicts hold the p-values
			}
			if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
				t.Errorf("width %d: %q is missing:\n%s", width, want, out.String())
			}
		}
	}
}

func TestCSVHoldsEveryEntry(t *testing.T) {
	table := mixed(t)
	var out strings.Builder
	if err := table.Write(&out, render.CSV, 80); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]int{}
	for _, r := range records[1:] {
		verdicts[r[0]]++
	}
	if verdicts["SLOWER"] != 1 || verdicts["REFUSED"] != len(table.Refused) || verdicts["NOT_OK"] != 1 || len(records)-1 != len(table.Pairs)+len(table.Refused)+len(table.NotOK) {
		t.Errorf("verdicts %v of %d pairs, %d refused, %d not ok", verdicts, len(table.Pairs), len(table.Refused), len(table.NotOK))
	}
}

func TestNothingToCompareIsSaid(t *testing.T) {
	var out strings.Builder
	if err := mustCompare(t, newFile("a.csv"), newFile("b.csv")).Write(&out, render.Text, 0); err != nil {
		t.Fatal(err)
	}
	if want := "0 compared: 0 SAME, 0 FASTER, 0 SLOWER, 0 UNCLEAR (threshold 1 %, confidence 95 %); 0 not compared, 0 not ok."; !strings.Contains(out.String(), want) {
		t.Errorf("output %q", out.String())
	}
}

// Of many rows that another file lacks there is one line, of some one each.
func TestManyRefusalsAreOneLine(t *testing.T) {
	for _, n := range []int{each, each + 1, 40} {
		rng := rand.New(rand.NewPCG(3, 3))
		var rows []results.Row
		for i := range n {
			r := newRow(rng, results.Baseline, 0.1, 10)
			r.Seed = int64(10 + i)
			rows = append(rows, r)
		}
		both := newRow(rng, results.Sparse, 0.1, 10)
		table := mustCompare(t, newFile("a.csv", append(rows, both)...), newFile("b.csv", both))
		var out strings.Builder
		if err := table.Write(&out, render.Text, 0); err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(out.String(), "Not compared:\n")
		want := fmt.Sprintf("- a.csv:2 to %d, %d rows, with B: no such case (--format csv names each)", n+1, n)
		if lines := strings.Split(strings.TrimSpace(list), "\n"); n > each && (len(lines) != 1 || lines[0] != want) || n <= each && len(lines) != n {
			t.Errorf("%d rows: %q", n, lines)
		}
		if got := len(table.csv().Rows); got < n+1 {
			t.Errorf("%d rows: %d in the CSV", n, got)
		}
	}
}
