package workload

import "testing"

// Every way that a suite or a user could ask for is among the splits, each once, and all are of the same training.
func TestSplits(t *testing.T) {
	for line, want := range map[string]struct {
		number int
		some   []string
	}{
		"model=tiny dp=2": {0, []string{"model=tiny dp=2", "model=tiny dp=2 zero=3 microbatches=4 recompute=blocks", "model=tiny tp=2 sequence_parallel=true", "model=tiny cp=2 zero=3 microbatches=8", "model=tiny pp=2 schedule=zb-h1 microbatches=8"}},
		"model=small,L=8,B=16 precision=bf16 dp=8 memory=64MiB": {0, []string{
			"model=small,L=8,B=16 precision=bf16 dp=2 tp=2 pp=2 schedule=interleaved chunks=4 microbatches=8 zero=1 sequence_parallel=true recompute=blocks memory=64MiB",
			"model=small,L=8,B=16 precision=bf16 pp=8 schedule=gpipe microbatches=16 memory=64MiB"}},
		"model=tiny dp=3":                  {0, []string{"model=tiny tp=3", "model=tiny dp=3"}}, // which Validate refuses
		"model=tiny dp=4 experts=4x1@1.25": {0, []string{"model=tiny ep=2 tp=2 experts=4x1@1.25", "model=tiny ep=4 experts=4x1@1.25 microbatches=2"}},
		"model=tiny dp=1 experts=4x1@1.25": {8, nil}, // microbatches and recomputation
	} {
		c, err := ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		splits := c.Splits()
		seen := map[Case]bool{}
		for _, s := range splits {
			if seen[s] || s.World() != c.World() || s.Unsplit() != c.Unsplit() || s.Technique != Classify(s) {
				t.Errorf("%s: split %s", line, s)
			}
			seen[s] = true
		}
		if want.number > 0 && len(splits) != want.number {
			t.Errorf("%s: %d splits", line, len(splits))
		}
		for _, l := range want.some {
			one, err := ParseCase(l)
			if err != nil {
				t.Fatal(err)
			}
			if !seen[one] {
				t.Errorf("%s: none is %s", line, one)
			}
		}
		for _, m := range c.products() {
			if m.dp*m.tp*m.pp*m.ep*m.cp != c.World() {
				t.Errorf("%s: product %+v", line, m)
			}
		}
	}
}
