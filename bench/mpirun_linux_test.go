package main

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"ofpeak/bench/perfetto"
	"ofpeak/parallel/comm/mpi/mpitest"
	"ofpeak/results"
)

// A run whose ranks are processes writes rows and a trace as one whose ranks are threads does: what all processes did is in them.
func TestRunUnderMPI(t *testing.T) {
	t.Parallel()
	mpitest.Each(t, ".", false, func(t *testing.T, m mpitest.MPI, binary string) {
		t.Parallel()
		dir := t.TempDir()
		out, trace := filepath.Join(dir, "x.csv"), filepath.Join(dir, "t.json")
		args := []string{"run", "--device", "cpu", "--seconds", "0.05", "--limit", "60", "--out", out, "--trace", trace}
		for _, c := range []string{"model=tiny dp=2", "model=tiny pp=2 schedule=1f1b microbatches=2", "model=tiny tp=2"} {
			args = append(args, "--case", c)
		}
		if printed, err := m.Run(5*time.Minute, 2, binary, args...); err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		file, err := results.Read(out)
		if err != nil || len(file.Rows) != 3 {
			t.Fatalf("%v, %d rows", err, len(file.Rows))
		}
		for _, row := range file.Rows {
			parts := 0.0
			for _, p := range []results.Opt[float64]{row.WFIdealS, row.WFMatmulS, row.WFAttentionS, row.WFMemoryBoundS, row.WFRecomputeS, row.WFOptimizerS, row.WFCommS, row.WFBubbleS,
				row.WFImbalanceS, row.WFHostS, row.WFThrottleS} {
				parts += p.Or(math.NaN())
			}
			if step := row.StepMedianS.Or(0); row.Status == results.Failed || math.Abs(parts-step) > 1e-6*step || !(row.WFCommS.Or(0) > 0) {
				t.Errorf("%s: %s: %s; the parts are %v s of %v, exposed communication %v", row.Case, row.Status, row.Reason, parts, step, row.WFCommS)
			}
			if !row.ClockChangePct.Known() || !row.CommBytes.Known() || !row.PeakBytesPerRank.Known() {
				t.Errorf("%s: what was gathered of all processes is missing: %+v", row.Case, row)
			}
		}
		traced, err := perfetto.Read(trace)
		if err != nil || len(traced.Cases) != 3 {
			t.Fatalf("%v, %+v", err, traced)
		}
		if err := traced.Check(); err != nil {
			t.Error(err)
		}
		for _, c := range traced.Cases {
			if c.Ranks != 2 {
				t.Errorf("%s: %d ranks are in the trace", c.Case, c.Ranks)
			}
		}
	})
}
