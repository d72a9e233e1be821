package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ofpeak/results/compare"
	"ofpeak/results/render"
)

// newCompareCmd sets the same cases of several results files side by side. With --fail-on-slower its error has an exit code of its own.
func newCompareCmd(out io.Writer) *cobra.Command {
	var format, threshold, failOnSlower string
	cmd := &cobra.Command{
		Use:   "compare BASE.csv OTHER.csv...",
		Short: "Compare results files case by case with the first: ratio, interval, verdict",
		Args:  files(2, 0),
		RunE: func(cmd *cobra.Command, paths []string) error {
			f, err := render.ParseFormat(format)
			if err != nil {
				return err
			}
			var opt compare.Options
			if opt.ThresholdPct, err = parsePercent("--threshold", threshold); err != nil {
				return err
			}
			allowed, gated := 0.0, cmd.Flags().Changed("fail-on-slower")
			if gated {
				if allowed, err = parsePercent("--fail-on-slower", failOnSlower); err != nil {
					return err
				}
			}
			table, err := compareFiles(paths, opt)
			if err != nil {
				return err
			}
			if err := table.Write(out, f, render.Width(out)); err != nil || !gated {
				return err
			}
			return table.Gate(allowed)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, csv or md")
	cmd.Flags().StringVar(&threshold, "threshold", fmt.Sprintf("%d%%", compare.DefaultThresholdPct), "difference below which two speeds count as the same")
	cmd.Flags().StringVar(&failOnSlower, "fail-on-slower", "", "exit with status 3 if a case is slower by more than this, such as 5%, or no longer ok")
	return cmd
}

func compareFiles(paths []string, opt compare.Options) (*compare.Table, error) {
	files, err := readFiles(paths)
	if err != nil {
		return nil, err
	}
	return compare.Compare(files, opt)
}

// parsePercent reads "5%" or "5".
func parsePercent(name, s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(v >= 0 && v < 100) {
		return 0, fmt.Errorf("%s %q: is not a percentage from 0%% to below 100%%", name, s)
	}
	return v, nil
}
