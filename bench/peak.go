package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/host"
	"ofpeak/bench/rig"
	"ofpeak/bench/workload"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results/render"
)

// peakFlags are what a user says about the ceilings.
type peakFlags struct {
	format, device string
	gpus           int
	each           time.Duration
	collectives    bool
}

func newPeakCmd(stdout, stderr io.Writer) *cobra.Command {
	var f peakFlags
	cmd := &cobra.Command{
		Use:   "peak",
		Short: "Measure this machine's ceilings: multiply-adds by type and instruction, memory bandwidth, collectives between ranks",
		Long:  `Peak measures what the GPU that answers, or else this CPU, can do with nothing else to do. Of a simulated GPU it checks what would be measured, and tells no speed.`,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), stdout, stderr) },
	}
	cmd.Flags().StringVar(&f.format, "format", "text", "text, csv or md")
	cmd.Flags().StringVar(&f.device, "device", "auto", "auto (a GPU if one answers), cpu, cuda or sim (a simulated GPU)")
	cmd.Flags().IntVar(&f.gpus, "gpus", 0, "GPUs between which collectives are measured; 0: all")
	cmd.Flags().DurationVar(&f.each, "time", peak.DefaultTime, "time to spend on each figure")
	cmd.Flags().BoolVar(&f.collectives, "collectives", false, "measure only the collectives, between the processes of a job or one rank a core, or with --device cuda between GPUs, with their bandwidths")
	return cmd
}

func (f *peakFlags) run(ctx context.Context, stdout, stderr io.Writer) error {
	format, err := render.ParseFormat(f.format)
	if err != nil {
		return err
	}
	if f.each <= 0 {
		return fmt.Errorf("--time %v is no time to measure; take %v or more", f.each, peak.DefaultTime)
	}
	if err := checkDevice(f.device, f.gpus); err != nil {
		return err
	}
	if f.collectives && f.device == workload.Sim {
		return errors.New("--collectives: simulated GPUs have no speed; pass --device cpu or cuda")
	}
	if err := isa.Check(); err != nil {
		return err
	}
	t, err := f.table(ctx, stderr)
	if err != nil || len(t.Rows) == 0 {
		return err
	}
	return t.Write(stdout, format, render.Width(stdout))
}

func (f *peakFlags) table(ctx context.Context, stderr io.Writer) (t render.Table, err error) {
	if f.collectives && f.device != workload.CUDA {
		return collectiveTable(ctx, stderr, f.each)
	}
	r, err := f.gpuRig(stderr)
	if err != nil {
		return t, err
	}
	if r != nil {
		defer r.Close()
		if f.collectives {
			return collectivesOf(ctx, r, r.Machine().GPUs, f.each)
		}
		return gpuPeakTable(ctx, r, f.each)
	}
	t = peakTable(measurePeak(f.each))
	return t, addCollectives(ctx, &t, f.each)
}

// allCores starts a worker on each core that a run would use; the caller becomes the first of them. Where the system refuses to bind threads to
// cores, they go where it puts them.
func allCores() *team.Team {
	cores, err := team.Cores()
	if err != nil || team.Pin(cores[0]) != nil {
		return team.NewUnpinned(host.Cores())
	}
	return team.New(cores[:min(len(cores), host.Cores())])
}

// measurePeak measures on a goroutine of its own, whose thread ends with it: it is bound to a core.
func measurePeak(each time.Duration) peak.Figures {
	figures := make(chan peak.Figures)
	go func() {
		workers := allCores()
		defer workers.Close()
		figures <- peak.Measure(workers, each)
	}()
	return <-figures
}

// addCollectives adds a row for each collective and size between one rank a core: algorithm and bus bandwidth. One core has no one to talk to.
func addCollectives(ctx context.Context, t *render.Table, each time.Duration) error {
	r, err := rig.New(rig.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	if ranks := r.Machine().Cores; ranks > 1 {
		return addCollectivesOf(ctx, r, ranks, t, each)
	}
	return nil
}

func addCollectivesOf(ctx context.Context, r *rig.Rig, ranks int, t *render.Table, each time.Duration) error {
	collectives, err := r.Collectives(ctx, ranks, rig.CollectiveSizes, each)
	for _, c := range collectives {
		row := make([]string, len(t.Header))
		row[0], row[len(row)-2], row[len(row)-1] = fmt.Sprintf("%s of %s, %d ranks", c.Op, size(c.Bytes), c.Ranks), digits(c.BusGBps), "GB/s bus"
		t.Rows = append(t.Rows, row)
	}
	return err
}

func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}

// peakTable has one row per figure: on one core and on all.
func peakTable(f peak.Figures) render.Table {
	t := render.Table{
		Header: []string{"ceiling", "instructions", "one core", "all " + fmt.Sprint(f.Cores), "unit"},
		Right:  []int{2, 3},
	}
	for _, r := range f.Rates {
		unit := "GFLOPS"
		if r.Type == "int8" {
			unit = "GOPS"
		}
		t.Rows = append(t.Rows, []string{r.Type + " multiply-add", r.Variant, digits(r.One), digits(r.All), unit})
	}
	for _, b := range f.Bandwidths {
		t.Rows = append(t.Rows, []string{"memory " + b.Kind, "", digits(b.One), digits(b.All), "GB/s"})
	}
	return t
}
