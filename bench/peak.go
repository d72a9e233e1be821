package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/host"
	"ofpeak/bench/rig"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results/render"
)

func newPeakCmd(stdout, stderr io.Writer) *cobra.Command {
	var text string
	var each time.Duration
	var alone bool
	cmd := &cobra.Command{
		Use:   "peak",
		Short: "Measure this CPU's ceilings: multiply-adds by type and instruction set, memory bandwidth, collectives between ranks",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := render.ParseFormat(text)
			if err != nil {
				return err
			}
			if each <= 0 {
				return fmt.Errorf("--time %v is no time to measure; take %v or more", each, peak.DefaultTime)
			}
			if err := isa.Check(); err != nil {
				return err
			}
			if alone {
				t, err := collectiveTable(cmd.Context(), stderr, each)
				if err != nil || len(t.Rows) == 0 {
					return err
				}
				return t.Write(stdout, format, render.Width(stdout))
			}
			t := peakTable(measurePeak(each))
			if err := addCollectives(cmd.Context(), &t, each); err != nil {
				return err
			}
			return t.Write(stdout, format, render.Width(stdout))
		},
	}
	cmd.Flags().StringVar(&text, "format", "text", "text, csv or md")
	cmd.Flags().DurationVar(&each, "time", peak.DefaultTime, "time to spend on each figure")
	cmd.Flags().BoolVar(&alone, "collectives", false, "measure only the collectives, between the processes of a job or one rank a core, with their bandwidths")
	return cmd
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
	ranks := r.Machine().Cores
	if ranks < 2 {
		return nil
	}
	collectives, err := r.Collectives(ctx, ranks, rig.CollectiveSizes, each)
	for _, c := range collectives {
		t.Rows = append(t.Rows, []string{fmt.Sprintf("%s of %s, %d ranks", c.Op, size(c.Bytes), c.Ranks), "", "", digits(c.BusGBps), "GB/s bus"})
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
