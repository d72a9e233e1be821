package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ofpeak/results"
	"ofpeak/results/export"
	"ofpeak/results/render"
)

// newExportCmd writes results for other tools.
func newExportCmd(stdout io.Writer) *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export FILE.csv...",
		Short: "Write results for other tools: benchstat (benchfmt), JSON lines (jsonl), data frames (parquet), monitoring (openmetrics)",
		Args:  files(1, 0),
		RunE: func(_ *cobra.Command, paths []string) error {
			f, err := export.ParseFormat(format)
			if err != nil {
				return err
			}
			files, err := readFiles(paths)
			if err != nil {
				return err
			}
			if out == "" && f == export.Parquet && render.Width(stdout) > 0 {
				return fmt.Errorf("--format parquet: is no text for a terminal; write a file with --out FILE")
			}
			if out == "" {
				return export.Write(stdout, f, files)
			}
			var text bytes.Buffer
			if err := export.Write(&text, f, files); err != nil {
				return err
			}
			if err := os.WriteFile(out, text.Bytes(), 0o644); err != nil {
				return fmt.Errorf("--out %s: cannot be written: %w; choose a writable place", out, results.Cause(err))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "benchfmt, jsonl, parquet or openmetrics")
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write; without it the terminal")
	return cmd
}
