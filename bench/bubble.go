package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ofpeak/parallel/pp"
	"ofpeak/results/render"
)

// bubbleCase is a schedule with its formula.
type bubbleCase struct {
	name    string
	chunks  int
	formula func(stages, microbatches int) float64
}

var bubbleCases = []bubbleCase{
	{"gpipe", 1, pp.Bubble},
	{"1f1b", 1, pp.Bubble},
	{"interleaved", 2, func(p, m int) float64 { return pp.BubbleInterleaved(p, m, 2) }},
	{"zb-h1", 1, pp.BubbleZBH1},
}

func newBubbleCmd(stdout io.Writer) *cobra.Command {
	unit := 4 * time.Millisecond
	cmd := &cobra.Command{
		Use:   "bubble",
		Short: "Measure how long each pipeline schedule's stages stand idle, with stages that only sleep",
		Long: `Bubble runs each pipeline schedule on 2 to 8 stages with two microbatches a stage and holds the share of the step that stages stand idle against
the schedule's formula. Stages are stand-ins that sleep for a forward pass and twice as long for a backward pass: it measures schedules, not this machine.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if unit <= 0 {
				return fmt.Errorf("--unit %s: give a time above 0, such as 4ms", unit)
			}
			return writeBubbles(stdout, unit)
		},
	}
	cmd.Flags().DurationVar(&unit, "unit", unit, "time of a forward pass")
	return cmd
}

// writeBubbles prints what is measured, with chunks of an interleaved stage of half the size.
func writeBubbles(w io.Writer, unit time.Duration) error {
	t := bubbleTable(func(c bubbleCase, stages, microbatches int) float64 {
		s, _ := pp.Named(c.name, c.chunks)
		return pp.StandIn(s, stages, microbatches, unit/time.Duration(c.chunks))
	})
	return t.Write(w, render.Text, render.Width(w))
}

// bubbleTable has a line for each number of stages: the share of the step that they stand idle, and what the formula says, in percent, for each schedule.
func bubbleTable(idle func(c bubbleCase, stages, microbatches int) float64) render.Table {
	t := render.Table{Header: []string{"stages", "microbatches"}, Right: []int{0, 1}}
	for i, c := range bubbleCases {
		t.Header = append(t.Header, c.name+" %", "formula %")
		t.Right = append(t.Right, 2+2*i, 3+2*i)
	}
	for stages := 2; stages <= 8; stages++ {
		m := 2 * stages
		row := []string{fmt.Sprint(stages), fmt.Sprint(m)}
		for _, c := range bubbleCases {
			row = append(row, fmt.Sprintf("%.1f", 100*idle(c, stages, m)), fmt.Sprintf("%.1f", 100*c.formula(stages, m)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
