package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/measure"
	"ofpeak/bench/perfetto"
	"ofpeak/bench/rig"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/results"
)

// runFlags are the flags of ofpeak run.
type runFlags struct {
	suite, device, chip, data, out string
	graphs, trace                  string
	cases, models, techniques      []string
	engines, passes, precisions    []string
	layouts, isas, memory, largest []string
	recomputes                     []string
	ranks, microbatches, buckets   []int
	threads, zero                  []int
	seed                           int64
	list, auto                     bool
	seconds, targetPct, limit      float64
	gpus                           int
	untilStable                    bool
	strategyFlags
	sweepFlags
	displayFlags
}

func newRunCmd(stdout, stderr io.Writer, open openFunc) *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure a suite of cases and write one CSV row of each",
		Long: `Run measures a suite of cases on this machine, prints a table and writes a CSV with one row per case.

A flag that takes a list replaces that list in every group of the suite: --precision bf16 runs the suite in bf16, --ranks 4 splits
over four ranks what the suite splits over two. --technique keeps only some techniques. The rows that speed-up and scaling
efficiency are measured against come along in every case.`,
		Example: `  ofpeak run --suite smoke
  ofpeak run --technique data-parallel,model-parallel --model gpt2,L=2,B=8 --ranks 2
  ofpeak run --case 'technique=sparse precision=bf16 model=small layout=block:32@0.25'`,
		Args:    noArgs,
		PreRunE: func(cmd *cobra.Command, args []string) error { return cmp.Or(caseAlone(cmd, args), autoAlone(cmd)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A second ctrl-C ends the process at once.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			return f.run(ctx, stdout, stderr, open)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	p := cmd.Flags()
	f.sweepFlags.register(p)
	f.displayFlags.register(p)
	p.StringVar(&f.suite, "suite", "quick", "smoke, quick, parallel, claims or full")
	p.StringArrayVar(&f.cases, "case", nil, "measure just this case, a line as --list prints it; may be repeated")
	p.BoolVar(&f.list, "list", false, "print the cases and why some would be skipped; measure nothing")
	p.BoolVar(&f.auto, "auto", false, "search for the fastest way to split each --model over its --ranks: by a cost model, then by measuring its best few")
	p.StringVar(&f.out, "out", "", "CSV to create (default results/runs/HOST-CHIP-TIME.csv)")

	p.StringVar(&f.device, "device", "auto", "auto, cpu, cuda or sim (simulated GPUs: results, but no times)")
	p.IntVar(&f.gpus, "gpus", 0, "GPUs to use, one for each rank (default all; with --device sim 4)")
	p.StringVar(&f.graphs, "graphs", rig.GraphsAuto, "whether a GPU's steps are launches of a CUDA graph: auto where they can be, on or else the case fails, off")
	p.StringVar(&f.trace, "trace", "", "file to create with a recorded step of each case, for Perfetto (ui.perfetto.dev) and ofpeak trace")
	p.StringVar(&f.chip, "chip", "", "row of the chip table to compare with (default: as detected)")
	p.StringVar(&f.data, "data", "", "text file for the language-model check (default: built in)")
	p.Int64Var(&f.seed, "seed", 0, "seed of weights and inputs (default 1)")
	p.Float64Var(&f.seconds, "seconds", 0, "seconds of samples after which a case is measured enough (default: the suite's)")
	p.Float64Var(&f.targetPct, "target", 0, "percent within which the median must be known to stop earlier (default: the suite's)")

	p.BoolVar(&f.untilStable, "repeat-until-stable", false, "sample until the median is known within --target, or --limit is reached; the row says if it was")
	p.Float64Var(&f.limit, "limit", 0, "seconds of samples after which what there is must be enough (default: the suite's)")

	p.StringSliceVar(&f.techniques, "technique", nil, "keep only these: "+strings.Join(workload.Techniques, ", "))
	p.StringArrayVar(&f.models, "model", nil, "presets ("+strings.Join(workload.PresetNames(), ", ")+"), changed as in gpt2,B=8, or C=..,NH=..,T=..,L=..,B=..")
	p.StringSliceVar(&f.precisions, "precision", nil, "fp32, tf32, bf16, fp16, fp8, int8: those that the device has")
	p.StringSliceVar(&f.passes, "pass", nil, "train, forward")
	p.StringSliceVar(&f.engines, "engine", nil, "native, gorgonia, gorgonia+blas")
	p.StringSliceVar(&f.layouts, "layout", nil, "dense, 2:4, block:EDGE@KEEP")
	p.IntSliceVar(&f.ranks, "ranks", nil, "ranks of the parallel techniques")
	f.strategyFlags.register(cmd)
	p.IntSliceVar(&f.microbatches, "microbatches", nil, "microbatches of a step; 0: as suits the pipeline")
	p.IntSliceVar(&f.buckets, "bucket-bytes", nil, "size of the gradient buckets of data parallelism")
	p.IntSliceVar(&f.zero, "zero", nil, "what data-parallel ranks share (ZeRO): 0 nothing, 1 optimizer state, 2 also gradients, 3 also weights")
	p.StringSliceVar(&f.recomputes, "recompute", nil, "what the backward pass computes again instead of keeping it: none, blocks")
	p.StringSliceVar(&f.memory, "memory", nil, "memory that each rank may allocate, such as 256MiB; 0: what there is")
	p.StringSliceVar(&f.largest, "largest", nil, "search by running for the largest model (L), or batch (B), that --memory holds; without --memory, that some holds which suits the model")
	p.IntSliceVar(&f.threads, "threads", nil, "cores of each rank; 0: an equal share of all")
	p.StringSliceVar(&f.isas, "isa", nil, "force a variant of the operators, such as go, avx2, avx512 or neon")
}

// decided are the flags whose values a --case line has itself.
var decided = []string{"suite", "technique", "model", "precision", "pass", "engine", "layout", "ranks", "sequence-parallel", "overlap", "schedule", "chunks", "cut", "experts", "microbatches",
	"bucket-bytes", "zero", "recompute", "memory", "threads", "isa", "seed"}

// caseAlone refuses --case beside flags that it would contradict.
func caseAlone(cmd *cobra.Command, _ []string) error {
	if !cmd.Flags().Changed("case") {
		return nil
	}
	for _, name := range decided {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--case and --%s: the line of a case says everything; drop --%s, and change the line", name, name)
		}
	}
	return nil
}

// chosen are the flags whose values a search for the fastest split chooses, or that ask for something else.
var chosen = []string{"suite", "case", "largest", "technique", "engine", "pass", "sequence-parallel", "overlap", "schedule", "chunks", "cut", "microbatches", "bucket-bytes", "zero", "recompute"}

// autoAlone refuses --auto beside flags that it would contradict.
func autoAlone(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("auto") {
		return nil
	}
	for _, name := range chosen {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--auto and --%s: the search chooses how to train; drop one", name)
		}
	}
	return nil
}

// run does everything that can fail for a wrong flag before it measures anything.
func (f *runFlags) run(ctx context.Context, stdout, stderr io.Writer, open openFunc) error {
	rule, asked, err := f.check()
	if err != nil {
		return err
	}
	o := runnerOptions{Device: f.device, GPUs: f.gpus, Chip: f.chip, Data: f.data, Rule: rule, Graphs: f.graphs, Trace: f.trace, Stall: f.stall, Stderr: stderr}
	r, err := open(o)
	if err != nil {
		return err
	}
	defer r.Close()
	if followed, err := follow(ctx, r); followed {
		return err
	}
	if n := processes(r); n > 1 && f.isolate {
		return fmt.Errorf("--isolate within a job of %d processes: start ofpeak alone and pass --launcher, which gives each case a job of its own", n)
	}
	if err := checkISA(f.isas, r.Machine()); err != nil {
		return err
	}
	plan, err := f.plan(asked, r.Machine(), processes(r))
	if err != nil {
		return err
	}
	plan = sweep.Check(r, plan)
	if f.list {
		return listPlan(stdout, plan)
	}
	var measuring sweep.Runner = r
	if f.isolate {
		if measuring, err = isolated(r, o, f.timeout, f.launcher); err != nil {
			return err
		}
	}
	w, already, err := f.create(r.Machine(), plan, stderr)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := f.createTrace(); err != nil {
		return err
	}
	rest, err := sweep.Remaining(plan, already, r.Machine())
	if err != nil {
		return fmt.Errorf("%s: %w", w.Path(), err)
	}
	return measureAll(ctx, f.display(stdout, stderr), measuring, rest, already, w)
}

// check reads the flags as far as no device decides what they mean.
func (f *runFlags) check() (measure.Rule, asked, error) {
	rule, err := f.rule()
	if err := cmp.Or(err, checkDevice(f.device, f.gpus), checkGraphs(f.graphs, f.device), checkChip(f.chip), f.displayFlags.check(), f.sweepFlags.check(f.suite, f.out)); err != nil {
		return rule, asked{}, err
	}
	a, err := f.asked()
	return rule, a, err
}

func measureAll(ctx context.Context, shown display, r sweep.Runner, plan []workload.Planned, already []results.Row, w *results.Writer) error {
	shown.Start(plan, already, w.Path())
	rows, err := sweep.Run(sweep.OnStage(ctx, shown.Stage), r, sweep.ThisEnvironment(), plan, already, rescuer{w}, shown)
	if err := errors.Join(shown.Finish(rows, w.Path(), err), err); err != nil {
		return err
	}
	return failures(rows)
}

// failures is an error if a row is failed or wrong: a run that CI watches must not pass then.
func failures(rows []results.Row) error {
	n := 0
	for _, row := range rows {
		if row.Status == results.Failed || row.Status == results.Wrong {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d rows failed or are wrong; the column reason says why", n, len(rows))
	}
	return nil
}

// devices are what --device takes.
var devices = []string{"auto", workload.CPU, workload.CUDA, workload.Sim}

// checkDevice refuses what names no device, and numbers of GPUs that it cannot have.
func checkDevice(device string, gpus int) error {
	switch {
	case !slices.Contains(devices, device):
		return fmt.Errorf("--device %s is unknown; take auto, cpu, cuda or sim", device)
	case gpus < 0:
		return fmt.Errorf("--gpus %d is negative; pass 0 for all", gpus)
	case gpus > 0 && device == workload.CPU:
		return fmt.Errorf("--gpus %d: --device cpu uses none; drop one", gpus)
	case gpus > maxSimulated && device == workload.Sim:
		return fmt.Errorf("--gpus %d: at most %d are simulated", gpus, maxSimulated)
	}
	return nil
}

// checkGraphs refuses what is no way to enqueue steps, and graphs where there are none.
func checkGraphs(graphs, device string) error {
	switch {
	case !slices.Contains(rig.Graphs, graphs):
		return fmt.Errorf("--graphs %s is unknown; take %s", graphs, strings.Join(rig.Graphs, ", "))
	case graphs == rig.GraphsOn && device == workload.CPU:
		return fmt.Errorf("--graphs %s: the CPU has none; drop it", graphs)
	}
	return nil
}

// checkISA refuses what is no instruction set of any CPU. One of another CPU makes skipped rows; a GPU's variants have names of their own.
func checkISA(isas []string, m sweep.Machine) error {
	for _, name := range isas {
		if m.Device == results.CPU && !slices.Contains(isa.Known(), name) {
			return fmt.Errorf("--isa %s is unknown; take one of %s", name, strings.Join(isa.Names(), ", "))
		}
	}
	return nil
}

// rule is the suite's with the user's changes.
func (f *runFlags) rule() (measure.Rule, error) {
	suite, err := workload.SuiteNamed(f.suite)
	if err != nil {
		return measure.Rule{}, err
	}
	rule := map[string]measure.Rule{"smoke": measure.Smoke, "quick": measure.Quick, "parallel": measure.Quick, "claims": measure.Smoke, "full": measure.Full}[suite.Name]
	for _, number := range []struct {
		flag  string
		value float64
	}{{"seconds", f.seconds}, {"target", f.targetPct}, {"limit", f.limit}} {
		if !(number.value >= 0) {
			return rule, fmt.Errorf("--%s %g must not be negative; leave it out for the suite's", number.flag, number.value)
		}
	}
	if f.seconds > 0 {
		rule.Seconds = f.seconds
		if f.limit == 0 {
			rule.LimitSeconds = max(rule.LimitSeconds, f.seconds)
		}
	}
	if f.targetPct > 0 {
		rule.TargetPct = f.targetPct
	}
	if f.limit > 0 {
		rule.LimitSeconds = f.limit
		if f.seconds == 0 {
			rule.Seconds = min(rule.Seconds, f.limit)
		}
	}
	if f.untilStable {
		rule.UntilStable, rule.MaxSamples = true, 10*rule.MaxSamples
	}
	return rule, rule.Check()
}

// asked is what the flags say of the cases: those of --case, or what replaces a suite's lists.
type asked struct {
	cases    []workload.Case
	override workload.Settings
}

func (f *runFlags) asked() (asked, error) {
	a := asked{override: workload.Settings{Engines: f.engines, Passes: f.passes, Precisions: f.precisions, Ranks: f.ranks,
		Microbatches: f.microbatches, BucketBytes: f.buckets, ZeRO: f.zero, Recomputes: f.recomputes, Threads: f.threads, ISAs: f.isas, Largest: f.largest}}
	for _, line := range f.cases {
		c, err := workload.ParseCase(line)
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			return a, err
		}
		a.cases = append(a.cases, c)
	}
	if err := f.strategyFlags.override(&a.override); err != nil {
		return a, err
	}
	for _, text := range f.models {
		models, err := workload.ParseModels(text)
		if err != nil {
			return a, err
		}
		a.override.Models = append(a.override.Models, models...)
	}
	for _, text := range f.layouts {
		l, err := workload.ParseLayout(text)
		if err != nil {
			return a, err
		}
		a.override.Layouts = append(a.override.Layouts, l)
	}
	for _, text := range f.memory {
		b, err := workload.ParseBytes(text)
		if err != nil {
			return a, err
		}
		a.override.Memory = append(a.override.Memory, b)
	}
	return a, nil
}

// plan is the cases of --case, or those of the suite with the user's lists.
func (f *runFlags) plan(a asked, m sweep.Machine, processes int) ([]workload.Planned, error) {
	if len(a.cases) == 0 {
		return workload.Expand(workload.Options{Suite: f.suite, Techniques: f.techniques, Device: string(m.Device), Cores: m.Cores, GPUs: m.GPUs, Seed: f.seed,
			Processes: processes, Auto: f.auto, Override: a.override})
	}
	var plan []workload.Planned
	for _, c := range a.cases {
		if c.Device != string(m.Device) {
			return nil, fmt.Errorf("--case: device=%s is not the %s that this run is on; add --device %s", c.Device, m.Device, c.Device)
		}
		searches, err := f.searches(c)
		if err != nil {
			return nil, err
		}
		plan = append(plan, searches...)
	}
	return plan, nil
}

// searches are those of --largest for a case, or the case itself.
func (f *runFlags) searches(c workload.Case) ([]workload.Planned, error) {
	if len(f.largest) == 0 {
		return []workload.Planned{{Case: c}}, nil
	}
	var plan []workload.Planned
	for _, dim := range f.largest {
		p, err := c.Search(dim)
		if err != nil {
			return nil, err
		}
		plan = append(plan, p)
	}
	return plan, nil
}

// listPlan prints each case as a line for --case.
func listPlan(w io.Writer, plan []workload.Planned) error {
	for _, p := range plan {
		line := p.Case.String()
		switch {
		case p.Skip != nil:
			line += "  # skipped: " + p.Skip.Error()
		case p.Auto:
			line += "  # and every other way to split it, for the fastest"
		case p.Largest != "":
			line += "  # and up, to the largest " + p.Largest + " that fits"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// create makes the CSV, so that a place where nothing can be written is found before hours of work, or goes on with one and returns its rows.
func (f *runFlags) create(m sweep.Machine, plan []workload.Planned, stderr io.Writer) (*results.Writer, []results.Row, error) {
	if f.resume {
		return f.goOn(f.out, plan, stderr)
	}
	path := f.out
	if path == "" {
		path = defaultPath(sweep.ThisEnvironment().Host, m, time.Now())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, nil, fmt.Errorf("%w; choose a writable place with --out", err)
		}
	}
	w, err := results.Create(path)
	return w, nil, err
}

// createTrace makes the trace, unless an earlier run that this one goes on with has.
func (f *runFlags) createTrace() error {
	if f.trace == "" {
		return nil
	}
	if _, err := perfetto.Read(f.trace); err == nil && f.resume {
		return nil
	}
	if err := perfetto.Create(f.trace); err != nil {
		return fmt.Errorf("--trace %s: %w", f.trace, err)
	}
	return nil
}

// defaultPath is results/runs/HOST-CHIP-TIME.csv with the chip, or the device's own name, in UTC.
func defaultPath(host string, m sweep.Machine, now time.Time) string {
	name := m.Chip
	if name == "" {
		name = m.Name
	}
	return filepath.Join("results", "runs", slug(host)+"-"+slug(name)+"-"+now.UTC().Format("20060102T150405Z")+".csv")
}

// slug makes any name fit for a file: lower-case letters and digits, runs of anything else as one dash.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	if len(words) == 0 {
		return "unknown"
	}
	return strings.Join(words, "-")
}
