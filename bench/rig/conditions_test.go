package rig

import (
	"maps"
	"reflect"
	"runtime"
	"testing"

	"ofpeak/bench/validity"
	"ofpeak/results"
)

// A row says what it was measured under, and a rig that recalls another's ceilings measures none.
func TestConditions(t *testing.T) {
	r := measuringRig(t)
	row := run(t, r, "model=tiny dp=2")
	if ratio := row.ClockRatio.Or(0); ratio < 0.2 || ratio > 5 {
		t.Errorf("the clock is %g of that of the peak", ratio)
	}
	if runtime.GOOS == "linux" && (!row.StealPct.Known() || !row.InvoluntarySwitches.Known()) {
		t.Errorf("steal %v, involuntary switches %v", row.StealPct, row.InvoluntarySwitches)
	}
	if ns, known := row.HandoffNs.Get(); known && (ns <= 0 || r.handoffs[2] <= 0 || r.handoffs[2] > ns) {
		t.Errorf("handoff %v ns, the least %v", ns, r.handoffs)
	}
	data, err := r.Carry()
	if err != nil {
		t.Fatal(err)
	}
	other := measuringRig(t)
	if err := other.Recall(data); err != nil {
		t.Fatal(err)
	}
	if at := r.ceilings[min(2, len(r.cores))]["float32"]; !reflect.DeepEqual(other.ceilings, r.ceilings) || at.Clock <= 0 || len(at.Rates) == 0 {
		t.Errorf("recalled %v, want %v", other.ceilings, r.ceilings)
	}
	if !maps.Equal(other.handoffs, r.handoffs) {
		t.Errorf("recalled %v, want %v", other.handoffs, r.handoffs)
	}
	if err := other.Recall([]byte("{")); err == nil {
		t.Error("half a message is recalled")
	}
}

// Of several ranks the slowest clock counts, and what the one that watched has seen.
func TestJoinConditions(t *testing.T) {
	watched := conditions{Report: validity.Report{StealPct: results.Some(3.0)}, clock: 5}
	for _, other := range []conditions{{}, {clock: 7}, {clock: 4}} {
		for _, joined := range []conditions{watched.join(other), other.join(watched)} {
			want := 5.0
			if other.clock == 4 {
				want = 4
			}
			if joined.clock != want || joined.StealPct.Or(0) != 3 {
				t.Errorf("%+v with %+v is %+v", watched, other, joined)
			}
		}
	}
}

// What the other processes of a job saw arrives with the first.
func TestConditionsOfAnotherProcess(t *testing.T) {
	percent := func(change, delay float64) conditions {
		return conditions{Report: validity.Report{StealPct: results.Some(1.0), RunDelayPct: results.Some(delay)}, clock: 5, clockChange: results.Some(change)}
	}
	for _, test := range []struct {
		other, want conditions
	}{
		{conditions{}, percent(2, 3)},
		{percent(1, 1), percent(2, 3)},
		{percent(9, 8), percent(9, 8)},
	} {
		told, err := encode(measurement{conditions: test.other}.send())
		if err != nil {
			t.Fatal(err)
		}
		var arrived sent
		if err := decode(told, &arrived); err != nil {
			t.Fatal(err)
		}
		got := measurement{conditions: percent(2, 3)}.join(arrived.receive()).conditions
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("with %+v: %+v, want %+v", test.other, got, test.want)
		}
	}
}
