package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"ofpeak/results"
	"ofpeak/results/report"
	"ofpeak/results/report/figure"
)

type reportFlags struct {
	out, png string
	prices   []string
	open     bool
}

// newReportCmd writes one page about the rows of one or several results files.
func newReportCmd(stdout io.Writer) *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use:   "report FILE.csv...",
		Short: "Write a page: shares of peak, where the rest went, scaling, memory, claims, cost",
		Args:  files(1, 0),
		RunE: func(_ *cobra.Command, paths []string) error {
			return writeReport(stdout, paths, flags)
		},
	}
	cmd.Flags().StringVarP(&flags.out, "out", "o", "report.html", "page to write")
	cmd.Flags().StringVar(&flags.png, "png", "", "write each figure as PNG into this directory too")
	cmd.Flags().StringArrayVar(&flags.prices, "price", nil, `price of a device: "CNY 12/h", or over its life "CNY 73900/3y"; for one of several kinds "A100 80GB SXM=USD 1.8/h"; may be repeated`)
	cmd.Flags().BoolVar(&flags.open, "open", false, "open the page in the browser")
	return cmd
}

func writeReport(stdout io.Writer, paths []string, flags reportFlags) error {
	var opt report.Options
	for _, s := range flags.prices {
		p, err := report.ParsePrice(s)
		if err != nil {
			return err
		}
		opt.Prices = append(opt.Prices, p)
	}
	files, err := readFiles(paths)
	if err != nil {
		return err
	}
	r, err := report.Build(files, opt)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := r.WritePage(&page); err != nil {
		return err
	}
	if err := os.WriteFile(flags.out, page.Bytes(), 0o644); err != nil {
		return fmt.Errorf("--out %s: cannot be written: %w; choose a writable place", flags.out, results.Cause(err))
	}
	fmt.Fprintln(stdout, "wrote", flags.out)
	if flags.png != "" {
		if err := writePNGs(stdout, flags.png, r.Figures()); err != nil {
			return err
		}
	}
	if flags.open {
		return openPage(flags.out)
	}
	return nil
}

func readFiles(paths []string) ([]*results.File, error) {
	files := make([]*results.File, len(paths))
	for i, path := range paths {
		var err error
		if files[i], err = results.Read(path); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func writePNGs(stdout io.Writer, dir string, figures []*figure.Figure) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--png %s: cannot be made: %w; choose a writable place", dir, results.Cause(err))
	}
	for _, f := range figures {
		var image bytes.Buffer
		path := filepath.Join(dir, f.Name+".png")
		err := f.PNG(&image)
		if err == nil {
			err = os.WriteFile(path, image.Bytes(), 0o644)
		}
		if err != nil {
			return fmt.Errorf("--png %s: cannot be written: %w; choose a writable place", path, results.Cause(err))
		}
		fmt.Fprintln(stdout, "wrote", path)
	}
	return nil
}

// openers are the commands that open a page in the user's browser.
var openers = map[string][]string{"linux": {"xdg-open"}, "darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}

func openPage(path string) error {
	opener, ok := openers[runtime.GOOS]
	if !ok {
		return fmt.Errorf("--open: no way to open a page on %s is known; open %s yourself", runtime.GOOS, path)
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		err = exec.Command(opener[0], append(opener[1:], absolute)...).Run()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("--open: there is no %s; install it, or open %s yourself", opener[0], path)
	case err != nil:
		return fmt.Errorf("--open: %s failed: %w; open %s yourself", opener[0], err, path)
	}
	return nil
}
