package compare

import (
	"errors"
	"math/rand/v2"
	"testing"

	"ofpeak/results"
)

func TestGate(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	base := newRow(rng, results.Baseline, 0.1, 20)
	sparse := newRow(rng, results.Sparse, 0.1, 20)
	failed := sparse
	failed.Settle(results.Failed, "out of memory")
	tests := []struct {
		name    string
		other   []results.Row
		allowed float64
		want    string // "": passes
	}{
		{"same", []results.Row{base, sparse}, 5, ""},
		{"slower by 4 % of 5 %", []results.Row{newRow(rng, results.Baseline, 0.104, 20), sparse}, 5, ""},
		{"slower by 10 % of 5 %", []results.Row{newRow(rng, results.Baseline, 0.11, 20), sparse}, 5, "slower by more than 5 %: 1 of 2 cases"},
		{"faster", []results.Row{newRow(rng, results.Baseline, 0.05, 20), sparse}, 0, ""},
		{"lost", []results.Row{base, failed}, 5, "no longer ok: 1"},
		{"slower and lost", []results.Row{newRow(rng, results.Baseline, 0.2, 20), failed}, 5, "slower by more than 5 %: 1 of 1 cases; no longer ok: 1"},
		{"nothing to compare", nil, 5, "nothing could be compared, so nothing shows that it is not slower; see the rows that were refused"},
	}
	for _, test := range tests {
		err := mustCompare(t, newFile("a", base, sparse), newFile("b", test.other...)).Gate(test.allowed)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		var gate *GateError
		if !errors.As(err, &gate) || gate.ExitCode() != 3 || err.Error() != test.want {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
	}
}
