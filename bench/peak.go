package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/bench/host"
	"ofpeak/kernels/cpu/isa"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cpu/team"
	"ofpeak/results/render"
)

func newPeakCmd(stdout io.Writer) *cobra.Command {
	var text string
	var each time.Duration
	cmd := &cobra.Command{
		Use:   "peak",
		Short: "Measure this CPU's ceilings: multiply-adds by type and instruction set, and memory bandwidth",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
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
			workers := allCores()
			defer workers.Close()
			return peakTable(peak.Measure(workers, each)).Write(stdout, format, render.Width(stdout))
		},
	}
	cmd.Flags().StringVar(&text, "format", "text", "text, csv or md")
	cmd.Flags().DurationVar(&each, "time", peak.DefaultTime, "time to spend on each figure")
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
