package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/results/chips"
	"ofpeak/results/render"
)

// newChipsCmd shows the table of published peaks.
func newChipsCmd(out io.Writer) *cobra.Command {
	var format, extra, name string
	cmd := &cobra.Command{
		Use:   "chips",
		Short: "Show the published peaks: the survey's figures beside the vendors'",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := render.ParseFormat(format)
			if err != nil {
				return err
			}
			table := chips.Builtin()
			if extra != "" {
				if table, err = table.With(extra); err != nil {
					return err
				}
			}
			if name == "" {
				return table.Write(out, f, render.Width(out))
			}
			chip, ok := table.Lookup(name)
			if !ok {
				return fmt.Errorf("--chip %q: is not in the table; it has %s; add others with --chips FILE", name, strings.Join(table.Names(), ", "))
			}
			return chip.WriteDetail(out, f, render.Width(out))
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, csv or md")
	cmd.Flags().StringVar(&extra, "chips", "", "CSV of more chips, with the columns of results/chips/chips.csv")
	cmd.Flags().StringVar(&name, "chip", "", "show one chip in detail: a row's name, or the name that the driver reports")
	return cmd
}
