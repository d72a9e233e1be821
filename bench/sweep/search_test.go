package sweep

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/results"
)

// The answer is the border wherever it lies, found in a logarithm of steps.
func TestLargest(t *testing.T) {
	for from := 1; from < 4; from++ {
		for border := from - 1; border < 150; border++ {
			for guess := from; guess < 160; guess++ {
				asked := map[int]bool{}
				n, err := largest(from, guess, func(n int) (bool, error) {
					if n < from || asked[n] {
						t.Fatalf("from %d, guess %d: asked for %d after %v", from, guess, n, asked)
					}
					asked[n] = true
					return n <= border, nil
				})
				if err != nil || n != border || len(asked) > 18 || guess == border && len(asked) != 2 {
					t.Fatalf("from %d to %d, guess %d: got %d after %d questions, %v", from, border, guess, n, len(asked), err)
				}
			}
		}
	}
}

func claims(t *testing.T, r Runner, technique ...string) []workload.Planned {
	t.Helper()
	plan, err := workload.Expand(workload.Options{Suite: "claims", Techniques: technique, Cores: r.Machine().Cores})
	if err != nil {
		t.Fatal(err)
	}
	return Check(r, plan)
}

// A search keeps the largest that runs, measured, and the next, refused.
func TestSearch(t *testing.T) {
	f, l := &fake{cores: 5}, &log{}
	plan := claims(t, f)
	rows, err := Run(t.Context(), f, Environment{}, plan, nil, l, l)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range rows {
		if !row.MemoryLimitBytes.Known() {
			t.Errorf("%s has no limit", row.Case)
		}
		got = append(got, fmt.Sprintf("%s %s %s L=%d B=%d", row.Largest, row.Status, row.Precision, row.L, row.B))
	}
	want := []string{
		"L ok fp32 L=10 B=8", "L skipped fp32 L=11 B=8", "L ok bf16 L=30 B=8", "L skipped bf16 L=31 B=8", // one rank
		"L ok fp32 L=20 B=8", "L skipped fp32 L=21 B=8", "L ok fp32 L=10 B=8", "L skipped fp32 L=11 B=8", "L ok fp32 L=20 B=8", "L skipped fp32 L=21 B=8", // dp, tp, pp
		"B ok fp32 L=2 B=40", "B skipped fp32 L=2 B=41", "B ok bf16 L=2 B=120", "B skipped bf16 L=2 B=121", "B ok fp32 L=2 B=80", "B skipped fp32 L=2 B=82",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(l.events) != 2*len(plan) || len(f.runs) != len(plan) {
		t.Errorf("%d events and %d runs of %d searches", len(l.events), len(f.runs), len(plan))
	}
	if rest, err := Remaining(plan, rows, f.Machine()); err != nil || len(rest) > 0 {
		t.Errorf("after all rows %d searches remain, %v", len(rest), err)
	}
	if rest, err := Remaining(plan, rows[:5], f.Machine()); err != nil || len(rest) != len(plan)-3 {
		t.Errorf("after five rows %d of %d searches remain, %v", len(rest), len(plan), err)
	}
}

// What does not even start small has one row, and what fails too.
func TestSearchWithoutAnswer(t *testing.T) {
	for status, f := range map[results.Status]*fake{results.Failed: {cores: 5, broken: true}, results.Skipped: {cores: 0}} {
		l := &log{}
		plan := claims(t, f, workload.DataParallel)
		rows, err := Run(t.Context(), f, Environment{}, plan, nil, l, l)
		if err != nil || len(rows) != len(plan) || len(f.runs) > 0 || len(l.events) != 2*len(plan) {
			t.Fatalf("%s: %d rows of %d searches, %d runs, %v", status, len(rows), len(plan), len(f.runs), err)
		}
		for _, row := range rows {
			if row.Status != status || row.Largest == "" || row.Reason == "" {
				t.Errorf("%s: got %s %s", row.Case, row.Status, row.Reason)
			}
		}
		if rest, err := Remaining(plan, rows, f.Machine()); err != nil || len(rest) > 0 {
			t.Errorf("%s: %d searches remain, %v", status, len(rest), err)
		}
	}
}

// A search that is measured again loses both of its rows; one that is not keeps both.
func TestSearchAgain(t *testing.T) {
	f, l := &fake{cores: 5}, &log{}
	f.on = func(c workload.Case, row *results.Row) {
		if len(f.runs) == 1 {
			row.Settle(results.Failed, "the power is cut")
		}
	}
	plan := claims(t, f)
	rows, err := Run(t.Context(), f, Environment{}, plan, nil, l, l)
	if err != nil {
		t.Fatal(err)
	}
	again := Again(plan, func(s results.Status) bool { return s == results.Failed || s == results.Skipped })
	for i := range rows {
		if got, want := again(&rows[i]), i < 2; got != want {
			t.Errorf("row %d, %s %s: again %v", i, rows[i].Status, rows[i].Case, got)
		}
	}
}
