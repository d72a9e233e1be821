// Package rig measures cases on this machine: it opens the device of each rank, trains, times, verifies against the float64 reference,
// lets a small language model show that the technique still learns, and divides by the peaks. It is the one place, beside tests, that
// names concrete devices and communicators.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"ofpeak/bench/host"
	"ofpeak/bench/measure"
	"ofpeak/bench/nvml"
	"ofpeak/bench/sweep"
	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/team"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/parallel"
	"ofpeak/parallel/comm"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// Options are what a user says about the device and how it is measured.
type Options struct {
	Chip string // row of the chip table; "": that of the GPU, none of a CPU
	Data string // text of the language-model check; "": the built-in corpus
	Rule measure.Rule
	// Job is the processes that are the ranks of a case, if it has several; nil: ranks are goroutines. LocalRank is this one's number on its host, or -1.
	Job       comm.Processes
	LocalRank int
	// Stall is how long ranks may wait for one that does nothing before the case fails; 0: for ever.
	Stall time.Duration
	// Driver of the GPUs to measure on, one for each rank; nil: the CPU.
	Driver driver.Driver
	GPUs   int    // how many of them; 0: all
	Graphs string // one of Graphs; "": off
	// Trace is a file that perfetto.Create made, to which a recorded step of each case is added; "": none.
	Trace string
}

// Rig measures on the CPU or on GPUs. It implements sweep.Runner.
type Rig struct {
	rule       measure.Rule
	trace      string
	graphs     string
	machine    sweep.Machine
	cores      []int
	job        comm.Processes // nil: none
	localRank  int
	stall      time.Duration
	gpus       *gpus // nil: the CPU
	open       func(c workload.Case, rank int) (kernels.Device, error)
	answers    map[question]error // of a device
	chip       chips.Chip
	corpus     workload.Corpus
	ceilings   map[int]map[string]ceiling  // by cores in use and type of the operands
	bandwidths map[int]float64             // likewise, 10^9 bytes per second
	handoffs   map[int]float64             // likewise, the least that was seen, ns
	refs       map[workload.Case]snapshot  // verified references of this run
	decided    map[workload.Case]int64     // seeds of verified choices of experts
	learned    map[workload.Case][]float64 // loss curves of this run
}

// New finds the cores that this process may use and reads the text of the language-model check.
func New(o Options) (*Rig, error) {
	cores, err := team.Cores()
	if err != nil { // no affinity on this system: ranks are told apart by number only
		cores = make([]int, host.Cores())
	}
	cores = cores[:min(len(cores), host.Cores())]
	r := &Rig{
		rule: o.Rule, job: o.Job, localRank: o.LocalRank, stall: o.Stall, trace: o.Trace, graphs: o.Graphs, cores: cores, corpus: workload.DefaultCorpus(),
		machine: sweep.Machine{Device: results.CPU, Name: isa.Processor(), Chip: o.Chip, Cores: len(cores)},
		answers: map[question]error{}, handoffs: map[int]float64{},
		ceilings: map[int]map[string]ceiling{}, bandwidths: map[int]float64{}, refs: map[workload.Case]snapshot{}, decided: map[workload.Case]int64{}, learned: map[workload.Case][]float64{},
	}
	r.open = r.openDevice
	if o.Chip != "" {
		chip, ok := chips.Builtin().Lookup(o.Chip)
		if !ok {
			return nil, fmt.Errorf("--chip %q: is not in the table; see ofpeak chips", o.Chip)
		}
		r.chip, r.machine.Chip = chip, chip.Name
	}
	if o.Driver != nil {
		find := func() (*gpus, error) { return findGPUs(o.Driver, o.GPUs) }
		if o.Job != nil {
			find = func() (*gpus, error) { return findGPU(o.Driver, o.GPUs, o.Job, o.LocalRank) }
		}
		g, err := find()
		if err != nil {
			return nil, err
		}
		r.use(g)
	}
	if o.Data != "" {
		if r.corpus, err = workload.ReadCorpus(o.Data, checkT); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Close leaves the job, if this process is one of several. Devices live only as long as a case.
func (r *Rig) Close() error { return r.leave() }

// Machine is the CPU with the cores that this process may use, or the GPUs.
func (r *Rig) Machine() sweep.Machine { return r.machine }

// Check is nil, or why this machine cannot run the case.
func (r *Rig) Check(c workload.Case) error {
	if c.Device != string(r.machine.Device) && c.Device != workload.Ref {
		return fmt.Errorf("--device %s: this run is on the %s", c.Device, r.machine.Device)
	}
	if c.OnGPU() {
		if err := r.gpus.check(c); err != nil {
			return err
		}
		return r.supports(c)
	}
	if threads := c.RankThreads(len(r.cores)); threads > len(r.cores) {
		return fmt.Errorf("--threads %d is more than the %d cores that this process may use", threads, len(r.cores))
	}
	if r.job != nil && c.World() > r.job.Size() {
		return fmt.Errorf("a world of %d ranks needs as many processes: this job has %d; start it with -np %d", c.World(), r.job.Size(), c.World())
	}
	if _, available := host.Memory(os.DirFS("/")); available > 0 {
		if err := c.CheckMemory(available); err != nil {
			return err
		}
	}
	return r.supports(c)
}

// Run measures, verifies and fills in a case's row.
func (r *Rig) Run(ctx context.Context, c workload.Case, row *results.Row) {
	debug.FreeOSMemory() // what the case before left is no part of this one's
	host.ResetPeakMemory()
	sweep.Stage(ctx, "measuring")
	m, err := r.measure(ctx, c)
	if ctx.Err() != nil {
		return
	}
	r.fill(row, c, m)
	if err != nil {
		row.Settle(failure(c, err), firstLine(err))
		return
	}
	sweep.Stage(ctx, "measuring ceilings")
	r.fillShares(row, c, m)
	if c.Device != workload.Sim { // whose times nothing can disturb, for they are not kept
		r.fillConditions(row, c, m)
	}
	r.fillWaterfall(row, c, m)
	status, reason := r.judge(ctx, c, m, row)
	if status == results.OK && c.Device != workload.Sim {
		reason = strings.Join(r.cautions(c, m, row), "; ")
	}
	if ctx.Err() == nil {
		row.Settle(status, reason)
	}
}

// cautions are what a reader of a good row should know.
func (r *Rig) cautions(c workload.Case, m measurement, row *results.Row) []string {
	oversubscribed := c.Device == workload.CPU && c.World()*c.RankThreads(len(r.cores)) > len(r.cores)
	notes := m.conditions.Cautions(row.ClockRatio, m.conditions.clockChange, oversubscribed)
	notes = append(notes, r.handoffCaution(c, row.HandoffNs)...)
	notes = append(notes, nvml.Join(m.conditions.gpus).Cautions()...)
	if c.OnGPU() && c.World() > 1 {
		notes = append(notes, r.gpus.cautions()...)
	}
	if n := parallel.LeftBehind(); n > 0 {
		notes = append(notes, fmt.Sprintf("ranks of an earlier case (%d) did not come back and may still run beside this one; pass --isolate", n))
	}
	if note := sparsityNote(c, row); note != "" {
		notes = append(notes, note)
	}
	if m.noGraph != nil {
		notes = append(notes, "steps are enqueued call by call: "+firstLine(m.noGraph))
	}
	if c.OnGPU() && r.gpus.ceilings.err != nil {
		notes = append(notes, "no measured ceilings: "+firstLine(r.gpus.ceilings.err))
	}
	if m.profile.err != nil {
		notes = append(notes, "not recorded: "+firstLine(m.profile.err))
	}
	if err := r.writeTrace(c, m); err != nil {
		notes = append(notes, "no trace: "+firstLine(err))
	}
	return notes
}

// judge verifies the case and lets it learn. Its error is a row that cannot be believed.
func (r *Rig) judge(ctx context.Context, c workload.Case, m measurement, row *results.Row) (results.Status, string) {
	sweep.Stage(ctx, "verifying")
	if m.diverged() {
		return results.Wrong, fmt.Sprintf("the loss went from %g to %g: training diverged", m.lossFirst, m.lossLast)
	}
	if err := r.verify(ctx, c, row); err != nil {
		return statusOf(err), firstLine(err)
	}
	if c.Device == workload.Sim {
		return results.OK, "" // the training check would take an interpreter minutes
	}
	sweep.Stage(ctx, "training the check")
	if err := r.learn(ctx, c, row); err != nil {
		return statusOf(err), firstLine(err)
	}
	return results.OK, r.rule.Caution(m.Result)
}

// failure is the status of a case that ended with an error: one that its own memory limit refused is no failure of ours. Errors of ranks that are processes arrive as text.
func failure(c workload.Case, err error) results.Status {
	if c.Memory > 0 && strings.Contains(err.Error(), kernels.ErrOutOfMemory.Error()) {
		return results.Skipped
	}
	return results.Failed
}

// errWrong is wrapped by what was computed and is not right.
var errWrong = errors.New("wrong numbers")

func statusOf(err error) results.Status {
	if errors.Is(err, errWrong) {
		return results.Wrong
	}
	return results.Failed
}

// firstLine leaves out the stack that a panic's error carries: a reason is for reading in a table.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
