package rig

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ofpeak/bench/measure"
	"ofpeak/bench/perfetto"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/gemm"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/results"
)

// anHour is any time.
var anHour = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var brief = measure.Rule{WarmupSteps: 1, MinSamples: 6, MaxSamples: 6, LimitSeconds: 60}

func newRig(t *testing.T) *Rig {
	t.Helper()
	r := measuringRig(t)
	assumePeak(r)
	return r
}

// measuringRig measures its ceilings.
func measuringRig(t *testing.T) *Rig {
	t.Helper()
	r, err := New(Options{Rule: brief})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// run measures the case of a line.
func run(t *testing.T, r *Rig, line string) results.Row {
	t.Helper()
	c, err := workload.ParseCase(line)
	if err == nil {
		err = c.Validate()
	}
	if err == nil {
		err = r.Check(c)
	}
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	row := sweep.NewRow(c, r.Machine(), sweep.Environment{}, anHour)
	r.Run(context.Background(), c, &row)
	if err := row.Validate(); err != nil {
		t.Errorf("%s: the row is not valid: %v", line, err)
	}
	return row
}

// Each technique's row is measured, verified, and has learned about what the baseline learns.
func TestEveryTechniqueIsMeasuredAndVerified(t *testing.T) {
	r := newRig(t)
	for _, line := range []string{
		"model=tiny",
		"model=tiny precision=bf16",
		"model=tiny precision=fp16",
		"model=tiny dp=2",
		"model=tiny tp=2",
		"model=tiny tp=2 sequence_parallel=true",
		"model=tiny tp=2 overlap=on",
		"model=tiny tp=2 sequence_parallel=true overlap=on precision=bf16",
		"model=tiny pp=2 schedule=gpipe microbatches=4",
		"model=tiny pp=2 schedule=1f1b microbatches=4",
		"model=tiny,L=4 pp=2 schedule=interleaved chunks=2 microbatches=4",
		"model=tiny layout=2:4",
		"model=tiny layout=block:16@0.5",
		"model=tiny precision=bf16 layout=2:4",
		"model=tiny dp=2 tp=2",
		"model=tiny cp=2",
		"model=tiny cp=2 dp=2 zero=2 precision=bf16",
		"model=tiny experts=4x1@1 ep=2 zero=3",
		"model=tiny experts=4x2@1 dp=2 ep=2 zero=1 precision=bf16",
	} {
		row := run(t, r, line)
		if row.Status != results.OK {
			t.Errorf("%s: %s: %s", line, row.Status, row.Reason)
			continue
		}
		checkWaterfall(t, line, &row)
		for name, right := range map[string]bool{
			"step_median_s": row.StepMedianS.Or(0) > 0, "tokens_per_s": row.TokensPerS.Or(0) > 0, "share_measured_pct": row.ShareMeasuredPct.Or(0) > 0,
			"peak_bytes_per_rank": row.PeakBytesPerRank.Or(0) > row.ModelStateBytes.Or(0), "model_state_bytes": row.ModelStateBytes.Or(0) > 0, "forward_s": row.ForwardS.Or(0) > 0, "backward_s": row.BackwardS.Or(0) > 0,
			"optimizer_s": row.OptimizerS.Or(0) > 0, "max_rel_error": row.MaxRelError.Or(0) > 0, "flops_formula": row.FLOPsFormula != "",
			"loss_last": row.LossLast.Or(9) < row.LossFirst.Or(0), "comm_exposed_s": row.CommExposedS.Or(9) <= row.StepMedianS.Or(0), "bubble_s": row.BubbleS.Or(9) <= row.StepMedianS.Or(0),
		} {
			if !right {
				t.Errorf("%s: %s is missing or wrong", line, name)
			}
		}
		if moved := row.CommBytes.Or(-1) > 0; moved != (row.Ranks > 1) {
			t.Errorf("%s: %d ranks moved %d bytes", line, row.Ranks, row.CommBytes.Or(-1))
		}
		if final, base := row.FinalLoss.Or(9), row.FinalLossBaseline.Or(0); math.Abs(final-base) > 0.15 || len(row.LossCurve) != checkSteps {
			t.Errorf("%s: learned to %g in %d steps, the baseline to %g", line, final, len(row.LossCurve), base)
		}
		if row.ShareVendorPct.Known() || row.ShareSurveyPct.Known() {
			t.Errorf("%s: a CPU got a share of some chip's peak", line)
		}
	}
}

func TestForwardPassIsVerifiedByItsOutputs(t *testing.T) {
	r := newRig(t)
	for _, line := range []string{"model=tiny pass=forward", "model=tiny pass=forward dp=2 cp=2", "model=tiny pass=forward precision=int8", "model=tiny pass=forward microbatches=4",
		"model=tiny pass=forward pp=2 schedule=gpipe microbatches=4 dp=2", "model=tiny,L=4,V=258 pass=forward precision=int8 pp=2 schedule=interleaved chunks=2 microbatches=2", "model=tiny,T=21,V=257 pass=forward tp=2 pp=2 schedule=gpipe",
		"model=tiny pass=forward tp=2 overlap=on precision=int8", "model=tiny pass=forward tp=2 sequence_parallel=true overlap=on", "model=tiny pass=forward experts=4x1@1 tp=2 sequence_parallel=true overlap=on"} {
		row := run(t, r, line)
		if row.Status != results.OK || row.MaxRelError.Or(0) == 0 || row.FinalLoss.Known() || row.OptimizerS.Or(0) > 0 {
			t.Errorf("%s: %+v", line, row)
		}
	}
}

func TestGorgoniaIsMeasuredAndVerified(t *testing.T) {
	r := newRig(t)
	for line, variants := range map[string]string{
		"model=tiny,T=16,B=2 engine=gorgonia":             "",
		"model=tiny,T=16,B=2 engine=gorgonia+blas":        "sgemm=" + fastest(gemm.Variants(gemm.F32)),
		"model=tiny,T=16,B=2 engine=gorgonia+blas isa=go": "sgemm=go",
	} {
		row := run(t, r, line)
		if row.Status != results.OK || row.TokensPerS.Or(0) <= 0 || row.MaxRelError.Or(1) > row.ErrorTolerance.Or(0) ||
			row.LossLast.Or(9) >= row.LossFirst.Or(0) || row.VariantsUsed != variants {
			t.Errorf("%s: %+v", line, row)
		}
	}
}

func fastest(variants []string) string { return variants[len(variants)-1] }

// The reference agrees with itself to the bit.
func TestReferenceIsADeviceLikeAnother(t *testing.T) {
	row := run(t, newRig(t), "model=tiny,T=8,B=1 device=ref precision=fp64 technique=baseline")
	if row.MaxRelError.Or(1) != 0 {
		t.Errorf("the reference is off from itself by %v", row.MaxRelError)
	}
}

// broken is a device whose streams go wrong in one operator.
type broken struct {
	kernels.Device
	in func(kernels.HostStream) kernels.Stream
}

func (b broken) NewStream() (kernels.Stream, error) {
	s, err := b.Device.NewStream()
	if err != nil {
		return nil, err
	}
	return b.in(s.(kernels.HostStream)), nil
}

// noBias forgets a bias gradient; dies panics in the middle of a step.
type (
	noBias struct{ kernels.HostStream }
	dies   struct{ kernels.HostStream }
)

func (s noBias) LinearBackwardWeight(dw kernels.Weight, _, dout, x kernels.Tensor) {
	s.HostStream.LinearBackwardWeight(dw, kernels.Tensor{}, dout, x)
}

func (s dies) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	panic("no such kernel")
}

// breaking makes the rig's CPU devices wrong; its reference stays right.
func breaking(r *Rig, in func(kernels.HostStream) kernels.Stream) {
	sound := r.open
	r.open = func(c workload.Case, rank int) (kernels.Device, error) {
		dev, err := sound(c, rank)
		if err == nil && c.Device == workload.CPU {
			dev = broken{dev, in}
		}
		return dev, err
	}
}

func TestWrongNumbersAreWrongAndHaveNoShare(t *testing.T) {
	r := newRig(t)
	breaking(r, func(s kernels.HostStream) kernels.Stream { return noBias{s} })
	row := run(t, r, "model=tiny dp=2")
	if row.Status != results.Wrong || !strings.Contains(row.Reason, ".bias is off by") || row.ShareMeasuredPct.Known() || row.TokensPerS.Known() {
		t.Errorf("%s: %s, %v tokens/s, %v %%", row.Status, row.Reason, row.TokensPerS, row.ShareMeasuredPct)
	}
}

func TestPanicIsAFailedRowOfOneLineAndTheNextCaseRuns(t *testing.T) {
	r := newRig(t)
	sound := r.open
	breaking(r, func(s kernels.HostStream) kernels.Stream { return dies{s} })
	row := run(t, r, "model=tiny dp=2")
	if row.Status != results.Failed || !strings.Contains(row.Reason, "no such kernel") || len(row.Reason) > 200 {
		t.Errorf("%s: %s", row.Status, row.Reason)
	}
	r.open = sound
	if row := run(t, r, "model=tiny"); row.Status != results.OK {
		t.Errorf("after a panic: %s: %s", row.Status, row.Reason)
	}
}

// stalls blocks in the middle of its third step.
type stalls struct {
	kernels.HostStream
	calls *int
	since *time.Time
	until chan struct{}
}

func (s stalls) AttentionBackward(dqkv, scratch, dout, out, lse, qkv kernels.Tensor) {
	if *s.calls++; *s.calls == 3*2 { // two layers
		s.Do(func() error {
			*s.since = time.Now()
			<-s.until
			return nil
		})
	}
	s.HostStream.AttentionBackward(dqkv, scratch, dout, out, lse, qkv)
}

// A rank that is stuck in a step costs its case a failed row that names it and what it did, within ten seconds, and the next case runs and says that it is not alone.
func TestStalledRankIsAFailedRowAndTheNextCaseRuns(t *testing.T) {
	r := newRig(t)
	r.stall = comm.DefaultStall
	var since time.Time
	until, sound := make(chan struct{}), r.open
	r.open = func(c workload.Case, rank int) (kernels.Device, error) {
		dev, err := sound(c, rank)
		if rank == 1 {
			dev = broken{dev, func(s kernels.HostStream) kernels.Stream { return stalls{s, new(int), &since, until} }}
		}
		return dev, err
	}
	row := run(t, r, "model=tiny dp=2")
	if took := time.Since(since); row.Status != results.Failed || !strings.Contains(row.Reason, "rank 1 stalled: others wait for it; rank 1: ") || took > 10*time.Second {
		t.Errorf("after %v: %s: %s", took, row.Status, row.Reason)
	}
	r.open = sound
	if row := run(t, r, "model=tiny dp=2"); row.Status != results.OK || !strings.Contains(row.Reason, "ranks of an earlier case (1) did not come back") {
		t.Errorf("after a stall: %s: %s", row.Status, row.Reason)
	}
	close(until)
	for limit := time.Now().Add(10 * time.Second); parallel.LeftBehind() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the rank that came back counts as left behind")
		}
	}
}

func TestOutOfMemoryIsAFailedRow(t *testing.T) {
	r := newRig(t)
	sound := r.open
	r.open = func(c workload.Case, rank int) (kernels.Device, error) {
		dev, err := sound(c, rank)
		if err == nil {
			dev.LimitMemory(1 << 20)
		}
		return dev, err
	}
	row := run(t, r, "model=tiny")
	if row.Status != results.Failed || !strings.Contains(row.Reason, kernels.ErrOutOfMemory.Error()) {
		t.Errorf("%s: %s", row.Status, row.Reason)
	}
}

func TestCancelledCaseIsLeftUnsettled(t *testing.T) {
	r := newRig(t)
	c, err := workload.ParseCase("model=tiny dp=2")
	if err != nil {
		t.Fatal(err)
	}
	row := sweep.NewRow(c, r.Machine(), sweep.Environment{}, anHour)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("ctrl-C"))
	r.Run(ctx, c, &row)
	if row.Status != "" {
		t.Errorf("a cancelled case is %s: %s", row.Status, row.Reason)
	}
}

func TestCheckSaysWhatThisMachineCannotDo(t *testing.T) {
	r := newRig(t)
	for line, want := range map[string]string{
		"model=tiny device=cuda":                 "--device cuda: this run is on the cpu",
		"model=tiny isa=abacus":                  "\"abacus\" is unknown",
		"model=tiny engine=gorgonia+blas isa=no": "no variant \"no\"",
		"model=tiny threads=4096":                "--threads 4096 is more than the",
		"model=C=65536,NH=512,T=65536,L=64,B=64": "of memory",
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

// The small twin of a case keeps what verification is about, and is within the reference's reach.
func TestVerifiableKeepsTheStrategy(t *testing.T) {
	for _, line := range []string{
		"model=gpt2", "model=175b tp=4", "model=1b layout=block:32@0.25", "model=7b layout=2:4 tp=2 dp=2", "model=gpt2,L=12,B=16 pp=4 schedule=1f1b microbatches=8",
		"model=gpt2 cp=4", "model=gpt2 cp=8 tp=4", "model=tiny experts=8x1@1.25/8 cp=2 ep=2",
		"precision=bf16 model=gpt2 experts=8x1@1.25 ep=4", "precision=bf16 model=gpt2 layout=2:4 experts=8x2@1.25/8 cp=4 dp=4",
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		v := verifiable(c)
		if err := v.Validate(); err != nil {
			t.Errorf("%s: %s: %v", line, v, err)
		}
		m := v.Model
		if v.World() != c.World() || v.Layout != c.Layout || v.Schedule != c.Schedule || v.Microbatches != c.Microbatches {
			t.Errorf("%s became %s", line, v)
		}
		if m.C > 512 || m.T > verifyTokens || m.L > max(2, c.PP) || m.B != c.DP*c.EP*c.Microbatches || m.T%(2*c.CP) != 0 && c.CP > 1 {
			t.Errorf("%s is verified on %s", line, m)
		}
	}
}

func TestCollectivesMoveAtASpeed(t *testing.T) {
	r := newRig(t)
	got, err := r.Collectives(context.Background(), 3, []int64{1000}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 6 {
		t.Fatalf("%d collectives, want 6", len(got))
	}
	for _, c := range got {
		if want := comm.BusFactor(c.Op, 3) * c.AlgGBps; c.Bytes != 996 || c.Time <= 0 || c.AlgGBps <= 0 || math.Abs(c.BusGBps-want) > 1e-9*want {
			t.Errorf("%s: %+v", c.Op, c)
		}
	}
}

// checkWaterfall holds that the parts are those of the case, and agree with the columns that were measured otherwise.
func checkWaterfall(t *testing.T, line string, row *results.Row) {
	t.Helper()
	sum := 0.0
	parts := map[string]float64{}
	for _, p := range row.Waterfall() {
		sum += p.Seconds
		parts[p.Column] = p.Seconds
	}
	step := row.StepMedianS.Or(0)
	if len(parts) == 0 || math.Abs(sum-step) > 0.02*step {
		t.Fatalf("%s: parts %v add up to %g s of %g s", line, parts, sum, step)
	}
	if share := 100 * parts["wf_ideal_s"] / step; math.Abs(share-row.ShareMeasuredPct.Or(0)) > 1e-6 {
		t.Errorf("%s: the ideal is %g %% of the step, the share of the measured peak %g %%", line, share, row.ShareMeasuredPct.Or(0))
	}
	for column, has := range map[string]bool{"wf_bubble_s": row.PP > 1, "wf_comm_s": row.Ranks > 1} {
		if (parts[column] > 0) != has {
			t.Errorf("%s: %s is %g s", line, column, parts[column])
		}
	}
	flops := 0.0
	for _, op := range row.Ops {
		flops += op.FLOPs * float64(row.Ranks)
	}
	if executed := float64(row.ExecutedFLOPsPerStep.Or(0)); math.Abs(flops-executed) > 1e-6*executed {
		t.Errorf("%s: the operators add up to %g FLOPs, executed are %g", line, flops, executed)
	}
}

// assumePeak spares a rig the ceilings: on a busy machine they may come out lower than what a row reaches.
func assumePeak(r *Rig) {
	for cores := range len(r.cores) {
		for _, typ := range []string{"float32", "bfloat16", "int8"} {
			r.keep(cores+1, typ, ceiling{Rates: []peak.Rate{{Type: typ, Variant: "assumed", All: 1e4}}})
		}
	}
}

// A traced run adds a step of each case to a valid trace.
func TestTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace.json")
	if err := perfetto.Create(path); err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Rule: brief, Trace: path})
	if err != nil {
		t.Fatal(err)
	}
	assumePeak(r)
	lines := []string{"model=tiny pp=2 schedule=1f1b microbatches=4", "model=tiny dp=2 zero=3", "model=tiny dp=2 tp=2 pp=2 schedule=zb-h1 microbatches=2"}
	for _, line := range lines {
		if row := run(t, r, line); row.Status != results.OK || strings.Contains(row.Reason, "trace") {
			t.Errorf("%s: %s: %s", line, row.Status, row.Reason)
		}
	}
	f, err := perfetto.Read(path) // which checks it
	if err != nil {
		t.Fatal(err)
	}
	flows := map[string]int{}
	for _, e := range f.Events {
		flows[e.Phase]++
	}
	if len(f.Cases) != 3 || f.Cases[2].Ranks != 8 || !strings.Contains(f.Cases[1].Case, "zero=3") {
		t.Errorf("cases %+v", f.Cases)
	}
	// Each of 4 microbatches is handed on and back; each of 2 by 4 pairs of ranks.
	if want := 2*4 + 2*2*4; flows["s"] != want || flows["f"] != want {
		t.Errorf("%d flows begin and %d end, want %d", flows["s"], flows["f"], want)
	}
	for i := range f.Cases {
		if _, err := f.Picture(i + 1); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if row := run(t, r, "model=tiny"); row.Status != results.OK || !strings.Contains(row.Reason, "no trace: ") {
		t.Errorf("without the file: %s: %s", row.Status, row.Reason)
	}
}

// A case trains within its memory limit, and is skipped where the allocator refuses, not failed.
func TestMemoryLimit(t *testing.T) {
	r := newRig(t)
	c, err := workload.ParseCase("model=tiny,L=3")
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.measure(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Memory = workload.Bytes(m.peakBytes)
	if limited, err := r.measure(t.Context(), c); err != nil || limited.peakBytes != m.peakBytes {
		t.Errorf("within its own peak of %d: peak %d, %v", m.peakBytes, limited.peakBytes, err)
	}
	c.Memory--
	row := sweep.NewRow(c, r.Machine(), sweep.Environment{}, anHour)
	r.Run(t.Context(), c, &row)
	if row.Status != results.Skipped || !strings.Contains(row.Reason, "out of device memory") || row.MemoryLimitBytes.Or(0) != m.peakBytes-1 {
		t.Errorf("a byte less: %s %q, limit %v", row.Status, row.Reason, row.MemoryLimitBytes)
	}
	if err := row.Validate(); err != nil {
		t.Error(err)
	}
}

// The first steps of a case say whether it fits, and nothing of its speed.
func TestProbe(t *testing.T) {
	r := newRig(t)
	for line, want := range map[string]results.Status{
		"model=tiny memory=5MiB":                  results.OK,
		"model=tiny memory=3MiB":                  results.Skipped,
		"model=tiny dp=2 zero=3 memory=3MiB":      results.OK,
		"model=tiny precision=bf16 memory=1MiB":   results.Skipped,
		"model=tiny,V=256 tp=2 memory=4MiB":       results.OK,
		"model=tiny pass=forward memory=3MiB":     results.OK,
		"model=tiny,B=1 pass=forward memory=1KiB": results.Skipped,
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		row := sweep.NewRow(c, r.Machine(), sweep.Environment{}, anHour)
		r.Probe(t.Context(), c, &row)
		if row.Status != want || row.TokensPerS.Known() || row.PeakBytesPerRank.Or(0) > int64(c.Memory) {
			t.Errorf("%s: %s %q, peak %v; want %s", line, row.Status, row.Reason, row.PeakBytesPerRank, want)
		}
		if want == results.Skipped && !strings.Contains(row.Reason, fmt.Sprintf("of the limit of %d are in use", c.Memory)) {
			t.Errorf("%s: reason %q", line, row.Reason)
		}
		if err := row.Validate(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
