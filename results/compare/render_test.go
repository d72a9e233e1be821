package compare

import (
	"encoding/csv"
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
	for _, width := range []int{80, 100, 132} {
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
