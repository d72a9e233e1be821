package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"ofpeak/bench/perfetto"
	"ofpeak/results"
	"ofpeak/results/render"
)

// newTraceCmd lists the cases of a trace, or draws one.
func newTraceCmd(stdout io.Writer) *cobra.Command {
	var svg string
	var number int
	cmd := &cobra.Command{
		Use:   "trace TRACE.json",
		Short: "List the cases of a file that run --trace wrote, or draw what each rank of one did",
		Example: `  ofpeak run --case 'technique=model-parallel model=small,L=4 pp=4 schedule=1f1b microbatches=8' --trace trace.json
  ofpeak trace trace.json --svg trace.svg`,
		Args: files(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := perfetto.Read(args[0])
			if err != nil {
				return err
			}
			if svg == "" {
				return listTrace(stdout, f)
			}
			return drawTrace(stdout, f, number, svg)
		},
	}
	cmd.Flags().StringVar(&svg, "svg", "", "draw a case into this file")
	cmd.Flags().IntVar(&number, "case", 1, "which case to draw, from 1")
	return cmd
}

func listTrace(w io.Writer, f *perfetto.File) error {
	t := render.Table{Header: []string{"number", "case", "ranks"}, Right: []int{0, 2}}
	for i, c := range f.Cases {
		t.Rows = append(t.Rows, []string{fmt.Sprint(i + 1), c.Case, fmt.Sprint(c.Ranks)})
	}
	return t.Write(w, render.Text, render.Width(w))
}

func drawTrace(w io.Writer, f *perfetto.File, number int, path string) error {
	picture, err := f.Picture(number)
	if err != nil {
		return fmt.Errorf("--%w", err)
	}
	if err := os.WriteFile(path, []byte(picture.File()), 0o644); err != nil {
		return fmt.Errorf("--svg %s: cannot be written: %w; choose a writable place", path, results.Cause(err))
	}
	_, err = fmt.Fprintln(w, "wrote", path)
	return err
}
