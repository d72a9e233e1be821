package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cpu"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver/ptxsim"
	"ofpeak/kernels/verify"
	"ofpeak/results/render"
)

func newVerifyCmd(stdout io.Writer) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold every variant of every operator on this device against the float64 reference",
		Long: `Verify runs each operator, forward and backward, in each of its variants, types and weight formats on hostile inputs, and compares outputs
and gradients with the float64 reference. The error is relative: of each element, over its size plus the root mean square of all.

--record keeps the outputs; --against counts those that differ from the ones that another device recorded with the same seed. Both devices may be right.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return f.run(stdout) },
	}
	cmd.Flags().StringVar(&f.format, "format", "text", "text, csv or md")
	cmd.Flags().StringVar(&f.device, "device", workload.CPU, "cpu, cuda (the first GPU) or sim (a simulated one; minutes)")
	cmd.Flags().Uint64Var(&f.seed, "seed", 1, "seed of inputs and shapes")
	cmd.Flags().StringVar(&f.record, "record", "", "file for the outputs")
	cmd.Flags().StringVar(&f.against, "against", "", "file with another device's outputs")
	return cmd
}

// verifyFlags are what a user says about the verification.
type verifyFlags struct {
	format, device  string
	seed            uint64
	record, against string
}

func (f verifyFlags) run(stdout io.Writer) error {
	format, err := render.ParseFormat(f.format)
	if err != nil {
		return err
	}
	v := verifier{seed: f.seed}
	if f.against != "" {
		if v.against, err = readGolden(f.against, f.seed); err != nil {
			return fmt.Errorf("--against %w", err)
		}
	}
	if v.dev, err = openVerified(f.device); err != nil {
		return err
	}
	if f.record != "" {
		v.record = verify.NewGolden(v.dev.Info().Name, f.seed)
	}
	err = v.print(stdout, format)
	if f.record != "" {
		if werr := writeGolden(f.record, v.record); werr != nil {
			err = errors.Join(err, fmt.Errorf("--record %w", werr))
		}
	}
	return errors.Join(err, v.dev.Close())
}

func readGolden(path string, seed uint64) (*verify.Golden, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; pass a file that --record wrote", err)
	}
	defer file.Close()
	g, err := verify.ReadGolden(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; pass a file that --record wrote", path, err)
	}
	if g.Seed != seed {
		return nil, fmt.Errorf("%s: its outputs are of seed %d; pass --seed %d", path, g.Seed, g.Seed)
	}
	return g, nil
}

func writeGolden(path string, g *verify.Golden) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(g.Write(file), file.Close())
}

// verified are the devices that can be.
var verified = map[string]func() (kernels.Device, error){
	workload.CPU:  func() (kernels.Device, error) { return cpu.New(cpu.Config{}) },
	workload.Sim:  func() (kernels.Device, error) { return cuda.Open(ptxsim.New(ptxsim.Config{}), 0) },
	workload.CUDA: firstGPU,
}

func openVerified(name string) (kernels.Device, error) {
	open, ok := verified[name]
	if !ok {
		return nil, fmt.Errorf("--device %s: takes cpu, cuda or sim; pass one of those", name)
	}
	dev, err := open()
	if err != nil {
		return nil, fmt.Errorf("--device %s: %w; pass --device cpu", name, err)
	}
	return dev, nil
}

// verifier runs the cases on a device.
type verifier struct {
	dev             kernels.Device
	seed            uint64
	record, against *verify.Golden // nil: none
}

// verdict sums up the cases of one operator in one variant, type and weight format.
type verdict struct {
	op         kernels.Op
	variant    string
	dtype      kernels.DType
	format     kernels.Format
	cases      int
	failed     int
	relError   float64
	difference verify.Difference
}

// print shows a line per verdict, and returns an error if a case failed.
func (v verifier) print(w io.Writer, f render.Format) error {
	var verdicts []verdict
	var failures []error
	cases := verify.Cases(v.seed)
	for _, op := range kernels.OpNames {
		for _, variant := range v.dev.Variants(op) {
			if err := v.dev.Select(op, variant); err != nil {
				return err
			}
			for _, c := range cases {
				if c.Op != op || v.dev.Supports(op, c.Type, c.Layout.Format) != nil {
					continue
				}
				one, err := v.one(variant, c)
				if err != nil {
					failures = append(failures, fmt.Errorf("%s: %w", variant, err))
				}
				verdicts = tally(verdicts, one)
			}
		}
	}
	if err := v.table(verdicts).Write(w, f, render.Width(w)); err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d cases differ from the reference, first %w", len(failures), failures[0])
	}
	return nil
}

// one runs a case; its error is that of the reference's comparison.
func (v verifier) one(variant string, c verify.Case) (verdict, error) {
	relError, outs, err := c.RunOutputs(v.dev)
	one := verdict{op: c.Op, variant: variant, dtype: c.Type, format: c.Layout.Format, cases: 1, relError: relError}
	if v.record != nil {
		err = errors.Join(err, v.record.Add(variant, c, outs))
	}
	if v.against != nil {
		one.difference = v.against.Compare(variant, c, outs)
	}
	if err != nil {
		one.failed = 1
	}
	return one, err
}

// tally adds one case to the verdict on the same thing.
func tally(verdicts []verdict, v verdict) []verdict {
	i := slices.IndexFunc(verdicts, func(w verdict) bool {
		return w.op == v.op && w.variant == v.variant && w.dtype == v.dtype && w.format == v.format
	})
	if i < 0 {
		return append(verdicts, v)
	}
	w := &verdicts[i]
	w.cases += v.cases
	w.failed += v.failed
	w.relError = max(w.relError, v.relError)
	w.difference = w.difference.Join(v.difference)
	return verdicts
}

func (v verifier) table(verdicts []verdict) render.Table {
	t := render.Table{Header: []string{"operator", "variant", "type", "weights", "cases", "max rel error", "verdict"}, Right: []int{4, 5}}
	if v.against != nil {
		t.Header = append(t.Header, "differ from "+v.against.Device, "at most")
		t.Right = append(t.Right, 7, 8)
	}
	for _, d := range verdicts {
		result := "ok"
		if d.failed > 0 {
			result = fmt.Sprintf("%d wrong", d.failed)
		}
		weights := ""
		if d.op == kernels.OpLinear {
			weights = d.format.String()
		}
		row := []string{string(d.op), d.variant, d.dtype.String(), weights, fmt.Sprint(d.cases), fmt.Sprintf("%.2g", d.relError), result}
		if v.against != nil {
			row = append(row, differences(d.difference)...)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// differences are two cells: how many outputs differ, and by how much; empty where the other device has nothing to hold against.
func differences(d verify.Difference) []string {
	if d.Outputs == 0 {
		return []string{"", ""}
	}
	return []string{fmt.Sprintf("%d of %d", d.Differ, d.Outputs), fmt.Sprintf("%.2g", d.RelError)}
}
