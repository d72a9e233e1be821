package pp

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// each calls f for every schedule and a grid of sizes.
func each(t *testing.T, f func(t *testing.T, s Schedule, name string, stages, microbatches int)) {
	for _, name := range Names {
		s, ok := Named(name)
		if !ok {
			t.Fatalf("no schedule %q", name)
		}
		for stages := 1; stages <= 8; stages++ {
			for _, m := range []int{1, 2, 3, 4, 5, 7, 8, 16} {
				t.Run(fmt.Sprintf("%s/p%d/m%d", name, stages, m), func(t *testing.T) { f(t, s, name, stages, m) })
			}
		}
	}
}

func all(s Schedule, stages, microbatches int) [][]Action {
	var as [][]Action
	for i := range stages {
		as = append(as, s(i, stages, microbatches))
	}
	return as
}

func TestHandWorked(t *testing.T) {
	show := func(as []Action) string {
		var b strings.Builder
		for _, a := range as {
			fmt.Fprintf(&b, "%s%d ", [...]string{"<a", "F", "a>", "g<", "B", "<g", "I", "W"}[a.Kind], a.Microbatch)
		}
		return strings.TrimSpace(b.String())
	}
	for _, c := range []struct {
		s             Schedule
		stage, stages int
		m             int
		want          string
	}{
		{GPipe, 0, 1, 2, "F0 F1 B1 B0"},
		{GPipe, 0, 2, 2, "F0 a>0 F1 a>1 g<1 B1 g<0 B0"},
		{GPipe, 1, 2, 2, "<a0 F0 <a1 F1 B1 <g1 B0 <g0"},
		{OneFOneB, 0, 1, 2, "F0 B0 F1 B1"},
		{OneFOneB, 0, 2, 3, "F0 a>0 F1 a>1 g<0 B0 F2 a>2 g<1 B1 g<2 B2"},
		{OneFOneB, 1, 2, 3, "<a0 F0 B0 <a1 <g0 F1 B1 <a2 <g1 F2 B2 <g2"},
		{OneFOneB, 1, 4, 1, "<a0 F0 a>0 g<0 B0 <g0"},
		{ZBH1, 0, 2, 3, "F0 a>0 F1 a>1 g<0 I0 W0 F2 a>2 g<1 I1 W1 g<2 I2 W2"},
		{ZBH1, 1, 2, 3, "<a0 F0 I0 <a1 <g0 F1 I1 <a2 <g1 W0 F2 I2 <g2 W1 W2"},
		{ZBH1, 2, 3, 1, "<a0 F0 I0 <g0 W0"},
		{Inference, 1, 3, 2, "<a0 F0 a>0 <a1 F1 a>1"},
	} {
		if got := show(c.s(c.stage, c.stages, c.m)); got != c.want {
			t.Errorf("stage %d of %d, %d microbatches:\n got %s\nwant %s", c.stage, c.stages, c.m, got, c.want)
		}
	}
}

// Each stage runs each microbatch forward once and backward once, in that order, and what it receives and sends fits around them.
func TestOrderWithinStage(t *testing.T) {
	each(t, func(t *testing.T, s Schedule, name string, stages, m int) {
		back, parts := Backward, 2
		if name == "zb-h1" {
			back, parts = BackwardInput, 3
		}
		for i, as := range all(s, stages, m) {
			at := map[Action]int{}
			for n, a := range as {
				if _, twice := at[a]; twice {
					t.Fatalf("stage %d does %v twice", i, a)
				}
				at[a] = n
			}
			want := parts * m
			for k := range m {
				chain := []Kind{Forward, back}
				if i > 0 {
					chain = []Kind{RecvAct, Forward, back, SendGrad}
				}
				if back == BackwardInput {
					checkOrder(t, i, at, []Kind{BackwardInput, BackwardWeight}, k)
				}
				checkOrder(t, i, at, chain, k)
				if i < stages-1 {
					checkOrder(t, i, at, []Kind{Forward, SendAct, RecvGrad, back}, k)
				}
			}
			for _, edge := range []bool{i > 0, i < stages-1} {
				if edge {
					want += 2 * m
				}
			}
			if len(as) != want {
				t.Errorf("stage %d has %d actions, want %d", i, len(as), want)
			}
		}
	})
}

func checkOrder(t *testing.T, stage int, at map[Action]int, chain []Kind, k int) {
	t.Helper()
	last := -1
	for _, kind := range chain {
		n, ok := at[Action{kind, k}]
		if !ok || n <= last {
			t.Fatalf("stage %d: %v %d is missing or too early", stage, kind, k)
		}
		last = n
	}
}

// Sends and Recvs of neighbours pair off in order even where a Send waits for its Recv.
func TestNoDeadlock(t *testing.T) {
	each(t, func(t *testing.T, s Schedule, _ string, stages, m int) {
		if stuck := run(all(s, stages, m)); stuck != "" {
			t.Fatal(stuck)
		}
	})
}

// A plain "send, then receive" order would not pass: the simulation sees deadlocks.
func TestSimulationSeesDeadlock(t *testing.T) {
	crossed := [][]Action{
		{{SendAct, 0}, {RecvGrad, 0}},
		{{SendGrad, 0}, {RecvAct, 0}},
	}
	if run(crossed) == "" {
		t.Error("two sends that face each other pass")
	}
	wrong := [][]Action{{{SendAct, 0}}, {{RecvAct, 1}}}
	if run(wrong) == "" {
		t.Error("a send of one microbatch met the receive of another")
	}
}

// run steps all stages with blocking transfers, and says where they are stuck, if they are.
func run(as [][]Action) string {
	next := make([]int, len(as))
	head := func(i int) (Action, bool) {
		if i < 0 || i >= len(as) || next[i] == len(as[i]) {
			return Action{}, false
		}
		return as[i][next[i]], true
	}
	for moved := true; moved; {
		moved = false
		for i := range as {
			a, ok := head(i)
			if !ok {
				continue
			}
			peer, answer := i, a
			switch a.Kind {
			case SendAct:
				peer, answer.Kind = i+1, RecvAct
			case SendGrad:
				peer, answer.Kind = i-1, RecvGrad
			case RecvAct, RecvGrad:
				continue // moves with its send
			}
			if b, ok := head(peer); !ok || b != answer {
				continue
			}
			next[i]++
			if peer != i {
				next[peer]++
			}
			moved = true
		}
	}
	for i := range as {
		if a, ok := head(i); ok {
			return fmt.Sprintf("stage %d is stuck at %v", i, a)
		}
	}
	return ""
}

func TestLive(t *testing.T) {
	each(t, func(t *testing.T, s Schedule, name string, stages, m int) {
		for i, as := range all(s, stages, m) {
			want := m
			switch {
			case name == "1f1b":
				want = min(m, stages-i)
			case name == "zb-h1" && i == 0:
				want = min(m, stages)
			case name == "zb-h1":
				want = min(m, stages+1)
			}
			if got := Live(as); got != want {
				t.Errorf("stage %d holds %d microbatches, want %d", i, got, want)
			}
		}
	})
}

// With live slots a microbatch may use slot (microbatch mod live): no two that are held at once share one.
func TestSlots(t *testing.T) {
	each(t, func(t *testing.T, s Schedule, _ string, stages, m int) {
		for i, as := range all(s, stages, m) {
			live, held := Live(as), map[int]int{}
			for _, a := range as {
				slot := a.Microbatch % live
				switch a.Kind {
				case RecvAct, Forward:
					if k, ok := held[slot]; ok && k != a.Microbatch {
						t.Fatalf("stage %d: microbatches %d and %d meet in slot %d", i, k, a.Microbatch, slot)
					}
					held[slot] = a.Microbatch
				case Backward, BackwardWeight:
					delete(held, slot)
				}
			}
		}
	})
}

// Timed with equal stages, and the parts of a pass of equal time, each schedule stands idle as the formula says.
func TestBubble(t *testing.T) {
	each(t, func(t *testing.T, s Schedule, name string, stages, m int) {
		want := Bubble(stages, m)
		if name == "zb-h1" {
			want = BubbleZBH1(stages, m)
			if m < stages {
				return
			}
		}
		total := makespan(all(s, stages, m))
		if got := 1 - float64(3*m)/total; math.Abs(got-want) > 1e-12 {
			t.Errorf("idle share %g, formula %g", got, want)
		}
	})
}

// times of an action on the compute stream.
var times = map[Kind]float64{Forward: 1, Backward: 2, BackwardInput: 1, BackwardWeight: 1}

// makespan is the time of a step where each stage computes and transfers side by side, and a send takes no time.
func makespan(as [][]Action) float64 {
	type key struct {
		stage int
		Action
	}
	done := map[key]float64{}
	compute, pipe, next := make([]float64, len(as)), make([]float64, len(as)), make([]int, len(as))
	for moved := true; moved; {
		moved = false
		for i := range as {
			for next[i] < len(as[i]) {
				a := as[i][next[i]]
				k := a.Microbatch
				after := map[Kind][]key{
					RecvAct: {{i - 1, Action{SendAct, k}}}, RecvGrad: {{i + 1, Action{SendGrad, k}}},
					Forward: {{i, Action{RecvAct, k}}}, SendAct: {{i, Action{Forward, k}}},
					Backward: {{i, Action{RecvGrad, k}}}, BackwardInput: {{i, Action{RecvGrad, k}}},
					SendGrad: {{i, Action{Backward, k}}, {i, Action{BackwardInput, k}}},
				}[a.Kind]
				if a.Kind == RecvAct || a.Kind == RecvGrad {
					if _, sent := done[after[0]]; !sent {
						break
					}
				}
				clock := &pipe[i]
				if times[a.Kind] > 0 {
					clock = &compute[i]
				}
				for _, e := range after {
					*clock = max(*clock, done[e])
				}
				*clock += times[a.Kind]
				done[key{i, a}] = *clock
				next[i]++
				moved = true
			}
		}
	}
	return slices.Max(compute)
}

// recorder notes what an executor asks of it.
type recorder struct {
	did   []Action
	lasts []bool
}

func (r *recorder) RecvAct(k int)  { r.did = append(r.did, Action{RecvAct, k}) }
func (r *recorder) Forward(k int)  { r.did = append(r.did, Action{Forward, k}) }
func (r *recorder) SendAct(k int)  { r.did = append(r.did, Action{SendAct, k}) }
func (r *recorder) RecvGrad(k int) { r.did = append(r.did, Action{RecvGrad, k}) }
func (r *recorder) SendGrad(k int) { r.did = append(r.did, Action{SendGrad, k}) }
func (r *recorder) Backward(k int, last bool) {
	r.did, r.lasts = append(r.did, Action{Backward, k}), append(r.lasts, last)
}

func (r *recorder) BackwardInput(k int) { r.did = append(r.did, Action{BackwardInput, k}) }
func (r *recorder) BackwardWeight(k int, last bool) {
	r.did, r.lasts = append(r.did, Action{BackwardWeight, k}), append(r.lasts, last)
}

func TestRun(t *testing.T) {
	for _, s := range []Schedule{OneFOneB, ZBH1} {
		as := s(1, 3, 3)
		var r recorder
		Run(as, &r)
		if !reflect.DeepEqual(r.did, as) {
			t.Errorf("did %v, want %v", r.did, as)
		}
		if !reflect.DeepEqual(r.lasts, []bool{false, false, true}) {
			t.Errorf("last backward flags are %v", r.lasts)
		}
	}
}
