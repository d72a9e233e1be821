package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ofpeak/bench/measure"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/kernels/block"
	"ofpeak/parallel/costmodel"
	"ofpeak/results"
	"ofpeak/results/compare"
)

// fakeRunner has two cores that do 1e9 model FLOPs a second each, and no 8-bit products. Its times are made up of the case alone.
type fakeRunner struct {
	opened runnerOptions
	closed int
	ran    []workload.Case
	during func(n int, row *results.Row) // called with the row of the n-th case
	ctx    context.Context               // of the case under way
}

func (f *fakeRunner) open(o runnerOptions) (runner, error) {
	f.opened = o
	return f, nil
}

func (f *fakeRunner) Close() error { f.closed++; return nil }

func (f *fakeRunner) Machine() sweep.Machine {
	return sweep.Machine{Device: results.CPU, Name: "Fake CPU 2000 (R)", Cores: 2}
}

func (f *fakeRunner) Check(c workload.Case) error {
	if c.Precision == "int8" {
		return errors.New("the device has no 8-bit products")
	}
	return nil
}

func (f *fakeRunner) Run(ctx context.Context, c workload.Case, row *results.Row) {
	f.ctx = ctx
	f.ran = append(f.ran, c)
	flops := 6 * float64(c.Model.L*c.Model.LayerParams()*c.Model.Tokens())
	step := flops / 1e9 / float64(min(2, c.World()*c.RankThreads(2)))
	row.SampleCount = results.Some(6)
	row.StepMedianS, row.StepCILowS, row.StepCIHighS = results.Some(step), results.Some(step*0.99), results.Some(step*1.01)
	row.TokensPerS = results.Some(float64(c.Model.Tokens()) / step)
	row.TFLOPSPerDevice = results.Some(flops / step / 1e12)
	row.ShareMeasuredPct, row.ShareMeasuredBasis = results.Some(50.0), "fake"
	row.Settle(results.OK, "")
	if f.during != nil {
		f.during(len(f.ran), row)
	}
}

// Probe lets a rank hold three layers, or twelve sequences.
func (f *fakeRunner) Probe(_ context.Context, c workload.Case, row *results.Row) {
	if c.Model.L > 3*c.PP || c.Model.B > 12*c.DP {
		row.Settle(results.Skipped, "out of device memory")
		return
	}
	row.Settle(results.OK, "")
}

// Costs are those of a machine where a layer takes a second for each sequence that a rank computes, on so many tensor-parallel ranks a part of it, and exchanging takes no time.
func (f *fakeRunner) Costs(_ context.Context, c workload.Case) (costmodel.Table, error) {
	t := costmodel.Table{World: c.World()}
	for tp := 1; tp <= c.World(); tp++ {
		for _, kind := range []block.LayerKind{block.Embedding, block.Block, block.LMHead} {
			line := costmodel.Line{Fixed: 0.1, Each: 1 / float64(tp)}
			t.Layers = append(t.Layers, costmodel.Passes{TP: tp, Kind: kind, Forward: line, Backward: line})
		}
	}
	return t, nil
}

// ofpeak runs the command on the fake device.
func (f *fakeRunner) ofpeak(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = execute(newRootCmd(&out, &errs, f.open), &errs, args)
	return status, out.String(), errs.String()
}

func TestRunSmokeSuite(t *testing.T) {
	f := &fakeRunner{}
	path := filepath.Join(t.TempDir(), "smoke.csv")
	status, stdout, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path, "--seconds", "0.5")
	if status != 0 || f.closed != 1 || f.opened.Rule.Seconds != 0.5 || f.opened.Device != "auto" {
		t.Errorf("status %d, closed %d times, opened with %+v", status, f.closed, f.opened)
	}
	golden(t, "run-smoke.out", strings.ReplaceAll(stdout, path, "OUT.csv"))
	golden(t, "run-smoke.err", stderr)
	file, err := results.Read(path)
	if err != nil || len(file.Rows) != len(f.ran)+1 || len(file.Warnings) > 0 {
		t.Errorf("%d cases: got %+v, %v", len(f.ran), file, err)
	}
}

// Without arguments the suite quick is measured on whatever device there is, into a file of its own in results/runs.
func TestRunWithoutArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	f, listed := &fakeRunner{}, &fakeRunner{}
	status, stdout, stderr := f.ofpeak("run")
	files, err := filepath.Glob("results/runs/*-fake-cpu-2000-r-*Z.csv")
	if err != nil || status != 0 || len(files) != 1 || !strings.HasSuffix(stdout, "\n"+files[0]+"\n") || f.opened.Device != "auto" || f.opened.Rule.Seconds != measure.Quick.Seconds {
		t.Fatalf("status %d, %q, %v, opened with %+v\n%s%s", status, files, err, f.opened, stdout, stderr)
	}
	_, list, _ := listed.ofpeak("run", "--list", "--suite", "quick")
	if n := strings.Count(list, "\n"); n < 30 || len(casesIn(t, files[0])) != n {
		t.Errorf("%d rows of %d cases", len(casesIn(t, files[0])), n)
	}
}

func TestRunList(t *testing.T) {
	f := &fakeRunner{}
	status, stdout, stderr := f.ofpeak("run", "--list", "--suite", "quick", "--technique", "model-parallel,mixed-precision", "--model", "tiny,gpt2,B=4")
	if status != 0 || stderr != "" || len(f.ran) != 0 {
		t.Errorf("status %d, %d cases run, %s", status, len(f.ran), stderr)
	}
	golden(t, "run-list.txt", stdout)
	for line := range strings.Lines(stdout) {
		line, _, _ = strings.Cut(line, "#")
		if c, err := workload.ParseCase(line); err != nil || c.String() != strings.TrimSpace(line) {
			t.Errorf("%q is no case: %v", line, err)
		}
	}
}

func TestRunCase(t *testing.T) {
	f := &fakeRunner{}
	const line = "technique=sparse precision=bf16 model=small layout=block:32@0.25 seed=4"
	status, stdout, stderr := f.ofpeak("run", "--out", filepath.Join(t.TempDir(), "x.csv"), "--case", line)
	if status != 0 || len(f.ran) != 1 || f.ran[0].String() != line {
		t.Errorf("status %d, ran %v\n%s%s", status, f.ran, stdout, stderr)
	}
}

// Every wrong input is one line that names the way out, and nothing is measured or written.
func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken.csv")
	if err := os.WriteFile(taken, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"walk", `ofpeak: unknown command "walk" for "ofpeak"; see ofpeak --help`},
		{"run --colour", "ofpeak: ofpeak run has no such flag: --colour; see ofpeak run --help"},
		{"run extra", `ofpeak: ofpeak run takes flags only, not "extra"; see ofpeak run --help`},
		{"run --ranks two", `ofpeak: --ranks "two" is not understood; pass a whole number or a list of them such as 2,4`},
		{"run --suite huge", "ofpeak: --suite huge is unknown; take one of smoke, quick, parallel, claims, full"},
		{"run --device tpu", "ofpeak: --device tpu is unknown; take auto, cpu, cuda or sim"},
		{"run --gpus -1", "ofpeak: --gpus -1 is negative; pass 0 for all"},
		{"run --device cpu --gpus 2", "ofpeak: --gpus 2: --device cpu uses none; drop one"},
		{"run --device sim --gpus 1000", "ofpeak: --gpus 1000: at most 64 are simulated"},
		{"run --isa mmx", "ofpeak: --isa mmx is unknown; take one of go"},
		{"run --chip Z9000", `ofpeak: --chip "Z9000": is not in the table; see ofpeak chips`},
		{"run --seconds -1", "must not be negative"},
		{"run --model gpt9", "ofpeak: --model gpt9 is unknown; take one of tiny"},
		{"run --layout 3:4", "ofpeak: --layout 3:4 is unknown; take dense, 2:4"},
		{"run --technique magic", "ofpeak: --technique magic is unknown; take one of baseline"},
		{"run --suite smoke --ranks 3", "is not divisible by dp=3"},
		{"run --technique model-parallel --model gpt2,T=1023,B=4 --ranks 2 --sequence-parallel", "T=1023 tokens cannot be split over tp=2 ranks; pass --model"},
		{"run --case model=tiny --suite smoke", "ofpeak: --case and --suite: the line of a case says everything; drop --suite, and change the line"},
		{"run --case model=tiny --case dp=2", "ofpeak: --case: no model; add model=NAME"},
		{"run --case model=tiny,dp=2", "unknown dim dp; known: C, NH"},
		{"run --case device=cuda,model=tiny", "no model"},
		{"run --out " + dir + "/no/where.csv", "choose a writable place with --out"},
		{"run --out " + taken, "exists already, and results are never overwritten; go on with it with --resume, or choose another file with --out"},
	} {
		f := &fakeRunner{}
		status, stdout, stderr := f.ofpeak(strings.Fields(test.args)...)
		if status != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, test.want) || len(f.ran) > 0 {
			t.Errorf("%s: status %d, %d cases run, stdout %q, stderr\n%s\nwant %s", test.args, status, len(f.ran), stdout, stderr, test.want)
		}
	}
	if text, err := os.ReadFile(taken); err != nil || string(text) != "mine\n" {
		t.Errorf("the file that was there: %q, %v", text, err)
	}
	if _, _, stderr := (&fakeRunner{}).ofpeak("run", "--case", "model=tiny device=cuda"); !strings.Contains(stderr, "add --device cuda") {
		t.Errorf("another device's case: %s", stderr)
	}
}

// A row that failed keeps the others, and the status says it.
func TestRunFailedRow(t *testing.T) {
	f := &fakeRunner{during: func(n int, row *results.Row) {
		if n == 2 {
			row.Settle(results.Failed, "rank 1: broken\npipe "+strings.Repeat("goroutine ", 100))
		}
	}}
	path := filepath.Join(t.TempDir(), "x.csv")
	status, stdout, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path)
	if status != 1 || !strings.HasSuffix(stderr, "ofpeak: 1 of 22 rows failed or are wrong; the column reason says why\n") {
		t.Errorf("status %d\n%s", status, stderr)
	}
	if !strings.Contains(stdout, "failed: technique=baseline precision=fp32 model=tiny engine=gorgonia: rank 1: broken pipe goroutine ") || !strings.Contains(stdout, "… (see the CSV)\n") {
		t.Errorf("the table does not tell why:\n%s", stdout)
	}
}

// SIGINT ends the run after the current case's step: finished rows are in the file and in the table, and the status is a shell's for ctrl-C.
func TestRunInterrupt(t *testing.T) {
	f := &fakeRunner{}
	f.during = func(n int, row *results.Row) {
		if n == 3 {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Signal(os.Interrupt)
			}
			if err != nil {
				t.Error(err)
			}
			select {
			case <-f.ctx.Done():
			case <-time.After(time.Minute):
				t.Error("the signal does not arrive")
			}
			*row = results.Row{Status: ""}
		}
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	status, stdout, stderr := f.ofpeak("run", "--suite", "smoke", "--out", path)
	if status != 130 || !strings.HasSuffix(stderr, "ofpeak: interrupted; the finished rows are kept\n") {
		t.Errorf("status %d\n%s", status, stderr)
	}
	file, err := results.Read(path)
	if err != nil || len(file.Rows) != 3 || !strings.Contains(stdout, path) || strings.Count(stdout, "skipped") != 2 {
		t.Errorf("got %+v, %v\n%s", file, err, stdout)
	}
}

func TestDefaultPath(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 7200))
	for want, m := range map[string]sweep.Machine{
		"results/runs/my-host-fake-cpu-2000-r-20260102T010405Z.csv": {Name: "Fake CPU 2000 (R)"},
		"results/runs/my-host-h100-nvl-20260102T010405Z.csv":        {Name: "NVIDIA H100 NVL", Chip: "H100 NVL"},
		"results/runs/my-host-unknown-20260102T010405Z.csv":         {Name: "../处理器"},
	} {
		if got := defaultPath("My.host", m, at); got != filepath.FromSlash(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	for want, err := range map[int]error{1: errors.New("any"), 130: fmt.Errorf("run: %w", sweep.ErrInterrupted), 3: fmt.Errorf("compare: %w", &compare.GateError{})} {
		if got := exitStatus(err); got != want {
			t.Errorf("%v: got %d, want %d", err, got, want)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if status := run(&out, io.Discard, []string{"--version"}); status != 0 || !regexp.MustCompile(`^ofpeak \S.* go1\.\S+\n$`).MatchString(out.String()) {
		t.Errorf("status %d, %q", status, out.String())
	}
}

// Help wraps the flags' descriptions to the terminal, and loses none of their words.
func TestHelpFitsTheTerminal(t *testing.T) {
	help := func(width int) (text string) {
		var out bytes.Buffer
		root := newRootCmd(&out, io.Discard, (&fakeRunner{}).open)
		root.SetUsageTemplate(fitted(root.UsageTemplate(), width))
		if status := execute(root, io.Discard, []string{"run", "--help"}); status != 0 {
			t.Fatalf("status %d", status)
		}
		_, text, _ = strings.Cut(out.String(), "\nFlags:\n")
		return text
	}
	whole := help(0)
	for _, width := range []int{80, 120} {
		wrapped := help(width)
		for line := range strings.Lines(wrapped) {
			if len(line) > width+1 {
				t.Errorf("%d wide: a line of %d: %s", width, len(line)-1, line)
			}
		}
		if strings.Join(strings.Fields(wrapped), " ") != strings.Join(strings.Fields(whole), " ") {
			t.Errorf("%d wide: other words:\n%s", width, wrapped)
		}
	}
}

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{0: "0 µs", 2.5e-6: "2.5 µs", 0.012345: "12.3 ms", 0.9: "900 ms", 1: "1 s", 1234: "1234 s"} {
		if got := duration(seconds); got != want {
			t.Errorf("%g: got %s, want %s", seconds, got, want)
		}
	}
}
