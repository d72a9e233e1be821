package sweep

import (
	"strings"
	"testing"

	"ofpeak/bench/auto"
	"ofpeak/bench/workload"
	"ofpeak/results"
)

// told is a log that also keeps explanations.
type told struct {
	log
	searches []auto.Explanation
}

func (l *told) Explain(e auto.Explanation) { l.searches = append(l.searches, e) }

func splitting4(t *testing.T, r Runner, memory workload.Bytes) []workload.Planned {
	t.Helper()
	o := workload.Options{Suite: "quick", Auto: true, Cores: r.Machine().Cores, Override: workload.Settings{Ranks: []int{4}, Models: []workload.Model{{C: 32, NH: 4, T: 8, L: 4, B: 8}}}}
	if memory > 0 {
		o.Override.Memory = []workload.Bytes{memory}
	}
	plan, err := workload.Expand(o)
	if err != nil {
		t.Fatal(err)
	}
	return Check(r, plan)
}

// A search measures its finalists, keeps the fastest first, whatever was predicted, and says what it predicted.
func TestSplit(t *testing.T) {
	f, l := &fake{cores: 4}, &told{}
	f.on = func(c workload.Case, row *results.Row) {
		if len(f.runs) == 5 { // the third finalist, behind the baseline and one rank on one core
			row.StepMedianS, row.TokensPerS = results.Some(0.01), results.Some(6400.0)
		}
		if len(f.runs) == 6 {
			row.Settle(results.Wrong, "differs")
		}
	}
	plan := splitting4(t, f, 0)
	rows, err := Run(t.Context(), f, Environment{}, plan, nil, l, l)
	if err != nil || len(rows) != 2+auto.Finalists || len(f.runs) != len(rows) || len(l.searches) != 1 || len(l.rows) != len(rows) {
		t.Fatalf("%d rows of %d runs, %d searches, %v", len(rows), len(f.runs), len(l.searches), err)
	}
	if len(l.events) != 2*len(plan) || len(plan) != 3 {
		t.Errorf("events %q", l.events)
	}
	e := l.searches[0]
	if e.Chosen != 2 || e.Baseline != 4*64 || e.Considered != len(plan[2].Case.Splits()) || e.Finalists[2].Off().Or(0) < 10 {
		t.Errorf("explained with %+v", e)
	}
	if rows[2].Auto != results.Chosen || rows[2].Case != f.runs[4].String() || rows[5].Status != results.Wrong {
		t.Errorf("first row %s %s, last %s", rows[2].Auto, rows[2].Case, rows[5].Status)
	}
	for i, row := range rows[2:] {
		if row.Ranks != 4 || !row.PredictedStepS.Known() || (row.Auto == results.Finalist) != (i > 0) || row.Status == results.OK && !row.SpeedupVsBaseline.Known() {
			t.Errorf("row %d: %+v", i, row)
		}
		if err := row.Validate(); err != nil {
			t.Errorf("%s: %v", row.Case, err)
		}
	}
	if rest, err := Remaining(plan, rows, f.Machine()); err != nil || len(rest) > 0 {
		t.Errorf("%d searches remain, %v", len(rest), err)
	}
	if rest, err := Remaining(plan, rows[:2], f.Machine()); err != nil || len(rest) != 1 || !rest[0].Auto {
		t.Errorf("of the baselines alone %v remains, %v", rest, err)
	}
	again := Again(plan, func(s results.Status) bool { return s == results.Wrong })
	for i := range rows {
		if again(&rows[i]) {
			t.Errorf("row %d of a search with a choice is taken out", i)
		}
	}
}

// What cannot be split has a row that says why, and so has a machine that cannot be measured.
func TestSplitWithoutAnswer(t *testing.T) {
	for _, test := range []struct {
		f      *fake
		memory workload.Bytes
		status results.Status
		reason string
	}{
		{&fake{cores: 4}, 1 << 10, results.Skipped, "no split fits: of "},
		{&fake{cores: 4, broken: true}, 0, results.Failed, "the device is gone"},
	} {
		l := &told{}
		plan := splitting4(t, test.f, test.memory)
		rows, err := Run(t.Context(), test.f, Environment{}, plan, nil, l, l)
		if err != nil || len(rows) != 3 || len(test.f.runs) != 2 {
			t.Fatalf("%d rows of %d runs, %v", len(rows), len(test.f.runs), err)
		}
		last := rows[2]
		if last.Status != test.status || !strings.HasPrefix(last.Reason, test.reason) || last.Auto != results.Finalist {
			t.Errorf("%s: %s %q", last.Case, last.Status, last.Reason)
		}
		if rest, err := Remaining(plan, rows, test.f.Machine()); err != nil || len(rest) > 0 {
			t.Errorf("%d searches remain, %v", len(rest), err)
		}
	}
}
