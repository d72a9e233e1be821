package compare

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ofpeak/results"
)

// exactRow is a row without noise.
func exactRow(technique results.Technique, seed int64, step, share float64) results.Row {
	r := newRow(rand.New(rand.NewPCG(1, 1)), technique, step, 10)
	for i := range r.StepSamplesS {
		r.StepSamplesS[i] = step * (1 + 1e-9*float64(i))
	}
	r.Seed, r.ShareMeasuredPct = seed, results.Some(share)
	return r
}

// TestMatrixHasGeometricMeans takes ratios of 2 and 8 in one technique, and of 1/2 in another: their means are 4 and 1/2.
func TestMatrixHasGeometricMeans(t *testing.T) {
	base := newFile("a", exactRow(results.Sparse, 1, 1, 20), exactRow(results.Sparse, 2, 1, 20), exactRow(results.Baseline, 3, 1, 20))
	other := newFile("b", exactRow(results.Sparse, 1, 1.0/2, 40), exactRow(results.Sparse, 2, 1.0/8, 10), exactRow(results.Baseline, 3, 2, 20))
	for i := range other.Rows {
		other.Rows[i].DeviceName = "fast one"
	}
	third := newFile("c", exactRow(results.Sparse, 1, 1, 20))
	third.Rows[0].ShareMeasuredPct = results.Opt[float64]{}
	m := mustCompare(t, base, other, third).Matrix([]string{"technique"}, []string{"hardware"})
	if !slices.Equal(m.Rows, []string{"sparse", "baseline"}) || !slices.Equal(m.Cols, []string{"fast one", "cpu of a test"}) {
		t.Fatalf("rows %v, columns %v", m.Rows, m.Cols)
	}
	want := [][]Cell{
		{{2, 4, results.Some(1.0)}, {1, 1, results.Opt[float64]{}}},
		{{1, 0.5, results.Some(1.0)}, {}},
	}
	for i := range want {
		for j, w := range want[i] {
			got := m.Cells[i][j]
			if got.Pairs != w.Pairs || math.Abs(got.Speed-w.Speed) > 1e-6 || got.Share.Known() != w.Share.Known() || math.Abs(got.Share.Or(0)-w.Share.Or(0)) > 1e-9 {
				t.Errorf("%s on %s: %+v; want %+v", m.Rows[i], m.Cols[j], got, w)
			}
		}
	}
	if s := m.Cells[0][0].String(); s != "4.000 / 1.000 (2)" {
		t.Errorf("a cell is written %q", s)
	}
}

func TestOutliers(t *testing.T) {
	var bases, others []results.Row
	for seed := range int64(8) {
		bases = append(bases, exactRow(results.Sparse, seed, 1, 20))
		others = append(others, exactRow(results.Sparse, seed, 1+0.01*float64(seed%3), 20))
	}
	others[5] = exactRow(results.Sparse, 5, 2, 20)
	outliers := mustCompare(t, newFile("a", bases...), newFile("b", others...)).Outliers()
	if len(outliers) != 1 || outliers[0].Other.Row.Seed != 5 {
		t.Errorf("outliers %+v; want the row of seed 5", outliers)
	}
	if few := mustCompare(t, newFile("a", bases[3:7]...), newFile("b", others[3:7]...)).Outliers(); len(few) != 0 {
		t.Errorf("of four pairs %d are outliers; they have no middle", len(few))
	}
	if equal := mustCompare(t, newFile("a", bases...), newFile("b", bases...)).Outliers(); len(equal) != 0 {
		t.Errorf("of equal pairs %d are outliers", len(equal))
	}
}

func TestFilter(t *testing.T) {
	base := exactRow(results.Sparse, 1, 1, 20)
	bf16 := exactRow(results.MixedPrecision, 1, 1, 20)
	bf16.Precision, bf16.DeviceName, bf16.Chip = "bf16", "NVIDIA H100 80GB HBM3", "H100 SXM"
	tests := []struct {
		expression string
		want       int // of the two rows: 1 the first, 2 the second, 3 both
	}{
		{"", 3}, {"technique:sparse", 1}, {"-technique:sparse", 2}, {"precision:(bf16 OR fp16)", 2}, {"device_name:/H100/", 2}, {"hardware:\"H100 SXM\"", 2},
		{"technique:sparse precision:bf16", 0}, {"file:a", 3}, {"seed:2", 0}, {"c:64", 3},
	}
	for _, test := range tests {
		f, err := ParseFilter(test.expression)
		if err != nil {
			t.Errorf("%q: %v", test.expression, err)
			continue
		}
		kept, err := f.keep(newFile("a", base, bf16))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for i := range kept.Rows {
			got |= kept.Lines[i] - 1
		}
		if got != test.want {
			t.Errorf("%q keeps lines %v", test.expression, kept.Lines)
		}
	}
	for _, bad := range []string{"technique:", "speed:9", "(", "technique", `-"`} {
		if _, err := ParseFilter(bad); err == nil || !strings.HasPrefix(err.Error(), "--filter ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "speed", "technique,", "technique precision"} {
		if _, err := ParseKeys("--row", bad); err == nil || !strings.HasPrefix(err.Error(), "--row ") {
			t.Errorf("keys %q: %v", bad, err)
		}
	}
}

func TestBaseline(t *testing.T) {
	a, b, c := newFile("a"), newFile("b"), newFile("c")
	files, err := WithBaseline([]*results.File{a, b, c}, "b")
	if err != nil || !slices.Equal(files, []*results.File{b, a, c}) {
		t.Errorf("%v, %v; want b first", files, err)
	}
	if _, err := WithBaseline(files, "d"); err == nil {
		t.Error("a file that is not there is the base")
	}
}

// TestFilterDoesNotLoosenTheRules compares rows that must not be, however they were chosen.
func TestFilterDoesNotLoosenTheRules(t *testing.T) {
	filter, err := ParseFilter("technique:sparse")
	if err != nil {
		t.Fatal(err)
	}
	other := exactRow(results.Sparse, 1, 1, 20)
	other.B = 8
	table, err := Compare([]*results.File{newFile("a", exactRow(results.Sparse, 1, 1, 20)), newFile("b", other)}, Options{ThresholdPct: 1, Filter: filter})
	if err != nil || len(table.Pairs) != 0 || len(table.Refused) != 1 {
		t.Errorf("%+v, %v; want no pair", table, err)
	}
}

func TestJSON(t *testing.T) {
	failed := exactRow(results.Baseline, 3, 1, 20)
	failed.Settle(results.Failed, "out of memory")
	var out bytes.Buffer
	if err := mustCompare(t, newFile("a", exactRow(results.Sparse, 1, 1, 20), failed), newFile("b", exactRow(results.Sparse, 1, 0.5, 40))).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got jsonTable
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Pairs) != 1 || got.Pairs[0].Verdict != Faster || math.Abs(*got.Pairs[0].ShareRatio-2) > 1e-9 || len(got.Matrix.Cells) != 1 || len(got.NotOK) != 1 || !got.Files[0].Base {
		t.Errorf("%s", out.String())
	}
}
