package auto

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/kernels/block"
	"ofpeak/parallel/comm"
	"ofpeak/parallel/costmodel"
)

// random is a table of any times.
func random(r *rand.Rand, world int) *costmodel.Table {
	t := &costmodel.Table{World: world, Update: 1e-9 * r.Float64(), Overlap: r.Float64()}
	line := func() costmodel.Line { return costmodel.Line{Fixed: r.Float64(), Each: r.Float64()} }
	for _, tp := range []int{1, 2, 4, 8} {
		for _, kind := range []block.LayerKind{block.Embedding, block.Block, block.MSEHead, block.LMHead} {
			t.Layers = append(t.Layers, costmodel.Passes{TP: tp, Kind: kind, Forward: line(), Backward: line()})
		}
	}
	for _, op := range comm.Ops {
		t.Collectives = append(t.Collectives, costmodel.Collective{Op: op, Line: costmodel.Line{Fixed: r.Float64() / 10, Each: r.Float64() / 1e5}})
	}
	return t
}

// all predicts every split without a bound.
func all(t *testing.T, c workload.Case, check func(workload.Case) error, table *costmodel.Table) []Candidate {
	t.Helper()
	var out []Candidate
	for _, split := range c.Splits() {
		if cmp.Or(split.Validate(), check(split)) != nil {
			continue
		}
		need, err := split.RankMemory()
		if err != nil || split.Memory > 0 && need > int64(split.Memory) {
			continue
		}
		m, err := costmodel.New(split.Training(), split.Strategy(), table)
		if err != nil {
			t.Fatalf("%s: %v", split, err)
		}
		out = append(out, Candidate{split, need, m.Predict()})
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return cmp.Compare(a.Step.Total, b.Step.Total) })
	return out
}

// The search finds what looking at everything finds: the fastest, then the fastest others with no more than two of a product of axes. All fit their limit.
func TestSearchFindsTheFastest(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	none := 0
	for _, line := range []string{
		"model=C=32,NH=4,T=8,L=4,B=8 dp=4", "model=C=32,NH=4,T=8,L=4,B=8,V=64 dp=2", "model=C=32,NH=4,T=8,L=8,B=8 precision=bf16 dp=8",
		"model=C=32,NH=4,T=8,L=2,B=8 experts=4x1@1.25 dp=4", "model=C=32,NH=4,T=8,L=4,B=8 dp=3", "model=C=32,NH=4,T=8,L=4,B=8 dp=1",
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []workload.Bytes{0, 200 << 10, 400 << 10, 10 << 10} {
			c.Memory = limit
			table := random(r, c.World())
			check := func(c workload.Case) error {
				if c.ZeRO == 2 && c.PP == 1 {
					return errors.New("refused 2 for the test; so it is")
				}
				return nil
			}
			want := all(t, c, check, table)
			got := Search(c, check, table)
			if got.Fit != len(want) {
				t.Errorf("%s: %d fit, not %d", c, got.Fit, len(want))
			}
			count, meshes := 0, map[[5]int]int{}
			for _, w := range want {
				if meshes[mesh(w.Case)] == perMesh || count == Finalists {
					continue
				}
				if count >= len(got.Best) || got.Best[count] != w {
					t.Errorf("%s: place %d is %+v of %d, want %+v", c, count, got.Best[min(count, len(got.Best)-1)], len(got.Best), w)
					break
				}
				meshes[mesh(w.Case)]++
				count++
			}
			for _, b := range got.Best {
				if limit > 0 && b.Memory > int64(limit) {
					t.Errorf("%s: %d bytes are more than %d", b.Case, b.Memory, limit)
				}
			}
			rejected := 0
			for _, j := range got.Rejected {
				rejected += j.Count
			}
			if rejected+got.Fit != got.Considered || got.Considered != len(c.Splits()) {
				t.Errorf("%s: of %d, %d fit and %d are rejected", c, got.Considered, got.Fit, rejected)
			}
			if got.Fit == 0 {
				if none++; !strings.Contains(got.None().Error(), "no split fits: of ") || !errors.Is(got.None(), ErrNone) {
					t.Errorf("%s: %v", c, got.None())
				}
			}
		}
	}
	if none == 0 {
		t.Error("every limit leaves something")
	}
}

// Reasons that differ in numbers are counted together, and an example is named.
func TestRejections(t *testing.T) {
	c, err := workload.ParseCase("model=C=32,NH=2,T=8,L=2,B=8 dp=8 memory=400KiB")
	if err != nil {
		t.Fatal(err)
	}
	got := Search(c, func(workload.Case) error { return nil }, random(rand.New(rand.NewPCG(1, 1)), 8))
	found := map[string]bool{}
	for i, j := range got.Rejected {
		if i > 0 && j.Count > got.Rejected[i-1].Count || j.Count < 1 || strings.Contains(j.Why, ";") {
			t.Errorf("%d: %s", j.Count, j.Why)
		}
		kind := numbers.ReplaceAllString(j.Why, "N")
		if found[kind] {
			t.Errorf("%s comes twice", kind)
		}
		found[kind] = true
		if again := j.Example.Validate(); again != nil && !strings.HasPrefix(again.Error(), j.Why) {
			t.Errorf("%s: %v, not %s", j.Example, again, j.Why)
		}
	}
	for _, want := range []string{"heads cannot be split", "layers make no", "bytes of the 400KiB"} {
		if !slices.ContainsFunc(got.Rejected, func(j Rejection) bool { return strings.Contains(j.Why, want) }) {
			t.Errorf("no rejection says %q", want)
		}
	}
}
