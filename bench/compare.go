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

// compareFlags are as given.
type compareFlags struct {
	format, threshold, failOnSlower, baseline, filter, row, col string
}

// jsonFormat is a format of compare besides render's.
const jsonFormat = "json"

// newCompareCmd sets the same cases of several results files side by side. With --fail-on-slower its error has an exit code of its own.
func newCompareCmd(out io.Writer) *cobra.Command {
	var flags compareFlags
	cmd := &cobra.Command{
		Use:   "compare BASE.csv OTHER.csv...",
		Short: "Compare results files case by case with the first: ratio, interval, verdict, means by technique and hardware",
		Args:  files(2, 0),
		RunE: func(cmd *cobra.Command, paths []string) error {
			return runCompare(out, paths, flags, cmd.Flags().Changed("fail-on-slower"))
		},
	}
	cmd.Flags().StringVar(&flags.format, "format", "text", "text, csv, md or json")
	cmd.Flags().StringVar(&flags.threshold, "threshold", fmt.Sprintf("%d%%", compare.DefaultThresholdPct), "difference below which two speeds count as the same")
	cmd.Flags().StringVar(&flags.failOnSlower, "fail-on-slower", "", "exit with status 3 if a case is slower by more than this, such as 5%, or no longer ok")
	cmd.Flags().StringVar(&flags.baseline, "baseline", "", "file that the others are compared with, in place of the first")
	cmd.Flags().StringVar(&flags.filter, "filter", "", `rows to compare, as benchstat writes it: "technique:sparse -precision:fp32 device_name:/EPYC/"`)
	cmd.Flags().StringVar(&flags.row, "row", "technique", "columns that group the rows of the table of means, such as technique,precision")
	cmd.Flags().StringVar(&flags.col, "col", "hardware", "columns that group its columns, such as hardware, file or commit")
	return cmd
}

func runCompare(out io.Writer, paths []string, flags compareFlags, gated bool) error {
	opt, err := flags.options()
	if err != nil {
		return err
	}
	allowed := 0.0
	if gated {
		if allowed, err = parsePercent("--fail-on-slower", flags.failOnSlower); err != nil {
			return err
		}
	}
	table, err := compareFiles(paths, flags.baseline, opt)
	if err != nil {
		return err
	}
	if flags.format == jsonFormat {
		err = table.WriteJSON(out)
	} else {
		err = table.Write(out, render.Format(flags.format), render.Width(out))
	}
	if err != nil || !gated {
		return err
	}
	return table.Gate(allowed)
}

func (f compareFlags) options() (opt compare.Options, err error) {
	if _, err := render.ParseFormat(f.format); err != nil && f.format != jsonFormat {
		return opt, fmt.Errorf("--format %q: is unknown; use text, csv, md or json", f.format)
	}
	if opt.ThresholdPct, err = parsePercent("--threshold", f.threshold); err != nil {
		return opt, err
	}
	if opt.Filter, err = compare.ParseFilter(f.filter); err != nil {
		return opt, err
	}
	if opt.Row, err = compare.ParseKeys("--row", f.row); err != nil {
		return opt, err
	}
	opt.Col, err = compare.ParseKeys("--col", f.col)
	return opt, err
}

func compareFiles(paths []string, baseline string, opt compare.Options) (*compare.Table, error) {
	files, err := readFiles(paths)
	if err == nil && baseline != "" {
		files, err = compare.WithBaseline(files, baseline)
	}
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
