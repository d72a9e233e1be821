package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"ofpeak/bench/importer"
	"ofpeak/results"
	"ofpeak/results/chips"
)

// newImportCmd makes a results file of measurements from elsewhere.
func newImportCmd(stdout io.Writer) *cobra.Command {
	var out, extra string
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Make a results file of what was measured elsewhere, on chips that this tool cannot drive",
		Args:  files(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			table := chips.Builtin()
			if extra != "" {
				var err error
				if table, err = table.With(extra); err != nil {
					return err
				}
			}
			rows, err := importer.Read(args[0], table)
			if err != nil {
				return err
			}
			if err := writeNew(out, rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(stdout, "wrote %s: %d imported rows\n", out, len(rows))
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "imported.csv", "results file to write; it must not exist")
	cmd.Flags().StringVar(&extra, "chips", "", "CSV of more chips, with the columns of results/chips/chips.csv")
	return cmd
}

// writeNew writes a results file, all of it or nothing.
func writeNew(path string, rows []results.Row) error {
	text, err := results.Encode(rows...)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--out %s: exists already, and results are never overwritten; choose another file", path)
	}
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("--out %s: cannot be written: %w; choose a writable place", path, results.Cause(err))
	}
	return nil
}
