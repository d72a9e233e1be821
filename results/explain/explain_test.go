package explain

import (
	"slices"
	"strings"
	"testing"

	"ofpeak/results"
	"ofpeak/results/render"
)

// row has a step of 100 ms, half of it ideal.
func row() results.Row {
	r := results.Row{Case: "technique=data-parallel model=tiny dp=2", StepMedianS: results.Some(0.1), ProfiledStepS: results.Some(0.11),
		ShareMeasuredPct: results.Some(50.0), ShareMeasuredBasis: "measured float32", Status: results.OK,
		Ops: results.OpTimes{{Name: "linear.forward", Seconds: 0.04, FLOPs: 2e9, Bytes: 5e7}, {Name: "layernorm.forward", Seconds: 0.0001, Bytes: 1e6}, {Name: "barrier", Seconds: 5e-8}}}
	for i, v := range []*results.Opt[float64]{&r.WFIdealS, &r.WFMatmulS, &r.WFAttentionS, &r.WFMemoryBoundS, &r.WFRecomputeS, &r.WFOptimizerS,
		&r.WFCommS, &r.WFBubbleS, &r.WFImbalanceS, &r.WFHostS, &r.WFThrottleS} {
		*v = results.Some([]float64{0.05, 0.02, -0.01, 0.001, 0, 0.009, 0.02, 0, 0.005, 0.005, 0}[i])
	}
	return r
}

func text(t *testing.T, table render.Table) string {
	t.Helper()
	var b strings.Builder
	if err := table.Write(&b, render.Text, 0); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWaterfall(t *testing.T) {
	r := row()
	want := `
where the step went                 time  share%
----------------------------------------------------------------------
model FLOPs at the measured peak   50 ms    50.0  ██████████
matrix products below peak         20 ms    20.0            ████
attention below peak              -10 ms   -10.0
memory-bound operators              1 ms     1.0              █
recomputed activations                 0     0.0
optimizer                           9 ms     9.0              ██
exposed communication              20 ms    20.0                ████
pipeline bubble                        0     0.0
imbalance of ranks                  5 ms     5.0                    █
host and launch gaps                5 ms     5.0                     █
lower clock than at the peak           0     0.0
`
	if got := "\n" + text(t, Waterfall(&r, 20)); trim(got) != trim(want) {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

// trim takes blanks off the ends of lines.
func trim(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func TestOperators(t *testing.T) {
	r := row()
	want := `
operator             time  share%  GFLOP/s  GB/s  FLOP/byte
-----------------------------------------------------------
linear.forward      40 ms    40.0       50  1.25         40
layernorm.forward  100 µs     0.1             10
barrier             50 ns     0.0
`
	if got := "\n" + text(t, Operators(&r)); trim(got) != trim(want) {
		t.Errorf("got%s\nwant%s", got, want)
	}
}

// The overview leaves out rows without a waterfall, and parts that no row has.
func TestOverview(t *testing.T) {
	none := row()
	none.WFHostS = results.Opt[float64]{}
	want := `
row  case                       step  ideal%  matmul%  attention%  memory%  optimizer%  comm%  imbalance%  host%
----------------------------------------------------------------------------------------------------------------
  2  data-parallel tiny dp=2  100 ms    50.0     20.0       -10.0      1.0         9.0   20.0         5.0    5.0
`
	rows := []results.Row{none, row()}
	all, left := Overview(rows, 0)
	if got := "\n" + text(t, all); trim(got) != trim(want) || len(left) > 0 {
		t.Errorf("got%s\nwant%s\nleft out: %q", got, want, left)
	}
	if narrow, left := Overview(rows, 60); !narrow.Fits(60) || len(left) == 0 || left[0] != "memory%" || slices.Contains(left, "ideal%") {
		t.Errorf("in 60 columns: %q, without %q", narrow.Header, left)
	}
}

func TestTitle(t *testing.T) {
	r := row()
	if got, want := Title(&r), "technique=data-parallel model=tiny dp=2\n100 ms a step, 50.0 % of the peak: measured float32"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.ShareMeasuredPct, r.Reason = results.Opt[float64]{}, "stolen"
	r.PeakBytesPerRank, r.ModelStateBytes = results.Some[int64](2_345_678), results.Some[int64](1_599_488)
	const memory = "\n2.346 MB of memory a rank at most; by ZeRO's formula 1.599 MB are weights, gradients and optimizer state"
	if got, want := Title(&r), "technique=data-parallel model=tiny dp=2\n100 ms a step"+memory+"\nok: stolen"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{0: "0", 9.6e-8: "96 ns", 1.23456e-4: "123 µs", 9.9961e-4: "1 ms", -0.01: "-10 ms", 0.99994: "1 s", 12: "12 s"} {
		if got := seconds(s); got != want {
			t.Errorf("%g s is %q, want %q", s, got, want)
		}
	}
}

// Every part of the waterfall has a heading.
func TestHeadings(t *testing.T) {
	r := row()
	for _, p := range r.Waterfall() {
		if headings[p.Column] == "" {
			t.Errorf("%s has no heading", p.Column)
		}
	}
	if n := len(r.Waterfall()); n != len(headings) || n != len(columns()) {
		t.Errorf("%d parts, %d headings, %d columns", n, len(headings), len(columns()))
	}
}
