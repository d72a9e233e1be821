package pp

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// world is a schedule of all stages.
type world struct {
	name                        string
	stages, microbatches, chunk int // chunk is the number of them
	actions                     [][]Action
}

// each calls f for every schedule and a grid of sizes.
func each(t *testing.T, f func(t *testing.T, w world)) {
	for _, w := range worlds() {
		t.Run(fmt.Sprintf("%s/p%d/m%d/v%d", w.name, w.stages, w.microbatches, w.chunk), func(t *testing.T) { f(t, w) })
	}
}

var worlds = sync.OnceValue(func() []world {
	var ws []world
	for _, name := range Names {
		for stages := 1; stages <= 8; stages++ {
			for m := 1; m <= 32; m++ {
				for chunks := 1; chunks <= 4; chunks++ {
					if chunks > 1 && (name != "interleaved" || stages == 1) {
						continue
					}
					ws = append(ws, world{name, stages, m, chunks, all(name, stages, m, chunks)})
				}
			}
		}
	}
	return ws
})

func all(name string, stages, microbatches, chunks int) [][]Action {
	if chunks > 1 {
		return interleave(stages, microbatches, chunks)
	}
	s, _ := Named(name, chunks)
	var as [][]Action
	for i := range stages {
		as = append(as, s(i, stages, microbatches))
	}
	return as
}

// opens and closes report whether a chunk of a stage is the first or last of the pipeline.
func (w world) opens(stage, chunk int) bool  { return stage == 0 && chunk == 0 }
func (w world) closes(stage, chunk int) bool { return stage == w.stages-1 && chunk == w.chunk-1 }

func TestHandWorked(t *testing.T) {
	show := func(as []Action) string {
		var b strings.Builder
		for _, a := range as {
			fmt.Fprintf(&b, "%s%d%s ", [...]string{"<a", "F", "a>", "g<", "B", "<g", "I", "W"}[a.Kind], a.Microbatch, strings.Repeat("'", a.Chunk))
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
		{Interleaved(1), 0, 2, 3, "F0 a>0 F1 a>1 g<0 B0 F2 a>2 g<1 B1 g<2 B2"},
		// The primed passes are of the second chunk; rank 1 sends its first chunk's results back to rank 0.
		{Interleaved(2), 0, 2, 2, "F0 a>0 F1 <a0' a>1 F0' <a1' a>0' F1' g<0' a>1' B0' g<1' <g0' B1' g<0 <g1' B0 g<1 B1"},
		{Interleaved(2), 1, 2, 2, "<a0 F0 a>0 <a1 F1 a>1 <a0' F0' B0' <g0' <a1' F1' B1' <g1' g<0 B0 <g0 g<1 B1 <g1"},
		{Inference, 1, 3, 2, "<a0 F0 a>0 <a1 F1 a>1"},
	} {
		if got := show(c.s(c.stage, c.stages, c.m)); got != c.want {
			t.Errorf("stage %d of %d, %d microbatches:\n got %s\nwant %s", c.stage, c.stages, c.m, got, c.want)
		}
	}
}

// Each chunk of a stage runs each microbatch forward once and backward once, in that order, and what it receives and sends fits around them.
func TestOrderWithinStage(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for i, as := range w.actions {
			at := map[Action]int{}
			for n, a := range as {
				if _, twice := at[a]; twice {
					t.Fatalf("stage %d does %v twice", i, a)
				}
				at[a] = n
			}
			want := 0
			for c := range w.chunk {
				want += w.checkChunk(t, i, c, at)
			}
			if len(as) != want {
				t.Errorf("stage %d has %d actions, want %d", i, len(as), want)
			}
		}
	})
}

// checkChunk checks the order of one chunk's actions, and counts them.
func (w world) checkChunk(t *testing.T, stage, chunk int, at map[Action]int) int {
	back, parts := Backward, 2
	if w.name == "zb-h1" {
		back, parts = BackwardInput, 3
	}
	for k := range w.microbatches {
		chain := []Kind{Forward, back}
		if !w.opens(stage, chunk) {
			chain = []Kind{RecvAct, Forward, back, SendGrad}
		}
		if back == BackwardInput {
			checkOrder(t, stage, at, []Kind{BackwardInput, BackwardWeight}, k, chunk)
		}
		checkOrder(t, stage, at, chain, k, chunk)
		if !w.closes(stage, chunk) {
			checkOrder(t, stage, at, []Kind{Forward, SendAct, RecvGrad, back}, k, chunk)
		}
	}
	if !w.opens(stage, chunk) {
		parts += 2
	}
	if !w.closes(stage, chunk) {
		parts += 2
	}
	return parts * w.microbatches
}

func checkOrder(t *testing.T, stage int, at map[Action]int, chain []Kind, k, chunk int) {
	t.Helper()
	last := -1
	for _, kind := range chain {
		a := Action{kind, k, chunk}
		n, ok := at[a]
		if !ok || n <= last {
			t.Fatalf("stage %d: %v is missing or too early", stage, a)
		}
		last = n
	}
}

// Sends and Recvs of neighbours pair off in order even where a Send waits for its Recv.
func TestNoDeadlock(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		if stuck := run(w.actions); stuck != "" {
			t.Fatal(stuck)
		}
	})
	for stages := 2; stages <= 8; stages++ {
		for m := 1; m <= 32; m++ {
			for chunks := 2; chunks <= 4; chunks++ {
				var as [][]Action
				for i := range stages {
					as = append(as, InterleavedInference(chunks)(i, stages, m))
				}
				if stuck := run(as); stuck != "" {
					t.Fatalf("inference of %d microbatches on %d stages of %d chunks: %s", m, stages, chunks, stuck)
				}
			}
		}
	}
}

// A plain "send, then receive" order would not pass: the simulation sees deadlocks.
func TestSimulationSeesDeadlock(t *testing.T) {
	crossed := [][]Action{
		{{Kind: SendAct}, {Kind: RecvGrad}},
		{{Kind: SendGrad}, {Kind: RecvAct}},
	}
	if run(crossed) == "" {
		t.Error("two sends that face each other pass")
	}
	ring := [][]Action{{{Kind: SendAct}, {RecvAct, 0, 1}}, {{SendAct, 0, 0}, {Kind: RecvAct}}}
	if run(ring) == "" {
		t.Error("two ranks that each send to the next first pass")
	}
	wrong := [][]Action{{{Kind: SendAct}}, {{Kind: RecvAct, Microbatch: 1}}}
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
				if peer, answer.Kind = i+1, RecvAct; peer == len(as) {
					peer, answer.Chunk = 0, a.Chunk+1
				}
			case SendGrad:
				if peer, answer.Kind = i-1, RecvGrad; peer < 0 {
					peer, answer.Chunk = len(as)-1, a.Chunk-1
				}
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

// Each schedule holds no more microbatches at once than it says, and as many.
func TestLive(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		p, m, v := w.stages, w.microbatches, w.chunk
		for i, as := range w.actions {
			total := overlap(as, func(a Action) bool { return a.Kind != RecvGrad && a.Kind != SendGrad })
			want := m
			switch {
			case w.name == "1f1b" || w.name == "interleaved" && v == 1:
				want = min(m, p-i)
			case w.name == "zb-h1" && i == 0:
				want = min(m, p)
			case w.name == "zb-h1":
				want = min(m, p+1)
			case w.name == "interleaved" && m%p == 0:
				want = min(v*m, 2*(p-1-i)+(v-1)*p+1)
			case w.name == "interleaved":
				want = min(v*m, 2*(p-1-i)+(v-1)*min(m, p+m%p)+1)
			}
			if total > want || total < want && (v == 1 || m%p == 0) {
				t.Errorf("stage %d holds %d microbatches, want %d", i, total, want)
			}
		}
	})
}

// With live slots a chunk's microbatch may use slot (microbatch mod live): no two that are held at once share one. Nor do activation gradients that
// take turns, pass by pass.
func TestSlots(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for i, as := range w.actions {
			for c := range w.chunk {
				checkSlots(t, i, as, c)
			}
			checkGrads(t, i, as)
		}
	})
}

func checkSlots(t *testing.T, stage int, as []Action, chunk int) {
	live, held := Live(as, chunk), map[int]int{}
	for _, a := range as {
		if a.Chunk != chunk {
			continue
		}
		slot := a.Microbatch % live
		switch a.Kind {
		case RecvAct, Forward:
			if k, ok := held[slot]; ok && k != a.Microbatch {
				t.Fatalf("stage %d: microbatches %d and %d meet in slot %d", stage, k, a.Microbatch, slot)
			}
			held[slot] = a.Microbatch
		case Backward, BackwardWeight:
			delete(held, slot)
		}
	}
}

// checkGrads follows the gradients' places as an executor takes them: for the next pass, until it is sent.
func checkGrads(t *testing.T, stage int, as []Action) {
	live, pass, in := LiveGrads(as), 0, map[int]Action{}
	sends := map[Action]bool{}
	for _, a := range as {
		if a.Kind == SendGrad {
			sends[Action{Microbatch: a.Microbatch, Chunk: a.Chunk}] = true
		}
	}
	for _, a := range as {
		of := Action{Microbatch: a.Microbatch, Chunk: a.Chunk}
		switch a.Kind {
		case RecvGrad, Backward, BackwardInput:
			if other, ok := in[pass%live]; ok && other != of {
				t.Fatalf("stage %d: %v finds its gradient's place taken by %v", stage, a, other)
			}
			in[pass%live] = of
			if a.Kind == RecvGrad {
				continue
			}
			if !sends[of] {
				delete(in, pass%live)
			}
			pass++
		case SendGrad:
			for slot, other := range in {
				if other == of {
					delete(in, slot)
				}
			}
		}
	}
}

// Timed with equal stages, and the parts of a pass of equal time, each schedule stands idle as the formula says.
func TestBubble(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		p, m, v := w.stages, w.microbatches, w.chunk
		want := Bubble(p, m)
		switch {
		case w.name == "zb-h1" && m < p || v > 1 && m%p != 0:
			return // no formula
		case w.name == "zb-h1":
			want = BubbleZBH1(p, m)
		case v > 1:
			want = BubbleInterleaved(p, m, v)
		}
		total := makespan(w.actions)
		if got := 1 - float64(3*m*v)/total; math.Abs(got-want) > 1e-12 {
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
				before, behind := i-1, i+1
				act, grad := a, a
				act.Kind, grad.Kind = SendAct, SendGrad
				if before < 0 {
					before, act.Chunk = len(as)-1, a.Chunk-1
				}
				if behind == len(as) {
					behind, grad.Chunk = 0, a.Chunk+1
				}
				own := func(k Kind) key { return key{i, Action{k, a.Microbatch, a.Chunk}} }
				after := map[Kind][]key{
					RecvAct: {{before, act}}, RecvGrad: {{behind, grad}},
					Forward: {own(RecvAct)}, SendAct: {own(Forward)},
					Backward: {own(RecvGrad)}, BackwardInput: {own(RecvGrad)},
					SendGrad: {own(Backward), own(BackwardInput)},
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

func (r *recorder) do(a Action)       { r.did = append(r.did, a) }
func (r *recorder) RecvAct(a Action)  { r.do(a) }
func (r *recorder) Forward(a Action)  { r.do(a) }
func (r *recorder) SendAct(a Action)  { r.do(a) }
func (r *recorder) RecvGrad(a Action) { r.do(a) }
func (r *recorder) SendGrad(a Action) { r.do(a) }
func (r *recorder) Backward(a Action, last bool) {
	r.do(a)
	r.lasts = append(r.lasts, last)
}
func (r *recorder) BackwardInput(a Action)             { r.do(a) }
func (r *recorder) BackwardWeight(a Action, last bool) { r.Backward(a, last) }

func TestRun(t *testing.T) {
	for _, c := range []struct {
		s     Schedule
		lasts []bool
	}{
		{OneFOneB, []bool{false, false, true}}, {ZBH1, []bool{false, false, true}},
		// The second chunk ends first.
		{Interleaved(2), []bool{false, false, true, false, false, true}},
	} {
		as := c.s(1, 3, 3)
		var r recorder
		Run(as, &r)
		if !reflect.DeepEqual(r.did, as) {
			t.Errorf("did %v, want %v", r.did, as)
		}
		if !reflect.DeepEqual(r.lasts, c.lasts) {
			t.Errorf("last backward flags are %v", r.lasts)
		}
	}
}
