package report

import (
	"fmt"
	"strings"
	"testing"

	"ofpeak/results"
)

// found is what a search leaves: the largest row and the refused one.
func found(row results.Row, largest string, n int) []results.Row {
	row.Model, row.Largest, row.MemoryLimitBytes = "custom", largest, results.Some[int64](88<<20)
	rows := []results.Row{row, row}
	for i := range rows {
		if largest == "L" {
			rows[i].L = n + i
		} else {
			rows[i].B = n + i
		}
		rows[i].Case += fmt.Sprintf(" %s=%d", largest, n+i)
	}
	rows[1].Settle(results.Skipped, "rank 0: cpu: allocate 4 bytes: out of device memory: 3 of the limit of 5 are in use")
	return rows
}

func verdicts(t *testing.T, claimed string, rows ...[]results.Row) Claim {
	t.Helper()
	var all []results.Row
	for _, r := range rows {
		all = append(all, r...)
	}
	for _, c := range mustBuild(t, Options{}, newFile("a.csv", all...)).Claims {
		if strings.HasPrefix(c.Claimed, claimed) {
			return c
		}
	}
	t.Fatalf("%q is not claimed", claimed)
	return Claim{}
}

// TestLargestJudgesClaims has searches beside rows of equal size, which say less.
func TestLargestJudgesClaims(t *testing.T) {
	one := func() results.Row { return newRow(results.Baseline, "fp32", "", 0.4) }
	two := func(technique results.Technique, more string) results.Row { return split(technique, "fp32", more, 0.4) }
	bf16 := newRow(results.MixedPrecision, "bf16", "", 0.2)
	tp := two(results.ModelParallel, "tp=2")
	tp.DP, tp.TP = 1, 2
	all := [][]results.Row{
		{one(), two(results.DataParallel, "dp=2")}, // of which a rank of two needs 0.6 of the memory
		found(one(), "L", 4), found(bf16, "L", 4), found(two(results.DataParallel, "dp=2 zero=3"), "L", 7), found(tp, "L", 12),
		found(one(), "B", 31), found(bf16, "B", 60), found(two(results.DataParallel, "dp=2"), "B", 31),
	}
	for _, test := range []struct {
		claimed  string
		cases    int
		verdict  Verdict
		evidence string
	}{
		{"trains models larger", 2, Supported, "2 of 2 cases; best 3.00×, L=12 instead of 4 (model-parallel fp32 tiny tp=2 L=12), worst 1.75×, L=7 instead of 4 (data-parallel fp32 tiny dp=2 zero=3 L=7)"},
		{"deep or wide", 1, Supported, "1 of 1 cases; best 3.00×, L=12 instead of 4 (model-parallel fp32 tiny tp=2 L=12)"},
		{"a larger batch", 1, NotSupported, "0 of 1 cases; best 1.00×, B=31 instead of 31 (data-parallel fp32 tiny dp=2 B=31)"},
		{"memory saved", 2, NotSupported, "1 of 2 cases; best 1.94×, B=60 instead of 31 (mixed-precision bf16 tiny B=60), worst 1.00×, L=4 instead of 4 (mixed-precision bf16 tiny L=4)"},
	} {
		c := verdicts(t, test.claimed, all...)
		if len(c.Cases) != test.cases || c.Verdict != test.verdict || c.Evidence() != test.evidence || !strings.HasPrefix(c.Measure, "largest ") {
			t.Errorf("%s: %s, %s (%s)", test.claimed, c.Verdict, c.Evidence(), c.Measure)
		}
	}
}

// TestLargestNeedsItsPartner: another limit is another search, and so is one that nothing has ended.
func TestLargestNeedsItsPartner(t *testing.T) {
	dp := found(split(results.DataParallel, "fp32", "dp=2", 0.4), "B", 62)
	for name, change := range map[string]func(rows []results.Row) []results.Row{
		"":              func(rows []results.Row) []results.Row { return rows },
		"another limit": func(rows []results.Row) []results.Row { rows[0].MemoryLimitBytes = results.Some[int64](5); return rows },
		"another depth": func(rows []results.Row) []results.Row { rows[0].L = 9; return rows },
		"not refused":   func(rows []results.Row) []results.Row { return rows[:1] },
		"refused for another reason": func(rows []results.Row) []results.Row {
			rows[1].Settle(results.Skipped, "needs about 9 GB of memory and 8 GB are free")
			return rows
		},
		"failed":   func(rows []results.Row) []results.Row { rows[0].Settle(results.Failed, "gone"); return rows },
		"of depth": func(rows []results.Row) []results.Row { rows[0].Largest, rows[1].Largest = "L", "L"; return rows },
		"twice":    func(rows []results.Row) []results.Row { return append(rows, rows...) },
	} {
		c := verdicts(t, "a larger batch", change(found(newRow(results.Baseline, "fp32", "", 0.4), "B", 31)), dp)
		if (len(c.Cases) == 1) != (name == "") {
			t.Errorf("partner %s: %s", name, c.Evidence())
		}
	}
}
