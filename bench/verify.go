package main

import (
	"errors"
	"fmt"
	"io"
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
	var text, device string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold every variant of every operator on this device against the float64 reference",
		Long: `Verify runs each operator, forward and backward, in each of its variants, types and weight formats on hostile inputs, and compares outputs
and gradients with the float64 reference. The error is relative: of each element, over its size plus the root mean square of all.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			format, err := render.ParseFormat(text)
			if err != nil {
				return err
			}
			dev, err := openVerified(device)
			if err != nil {
				return err
			}
			return errors.Join(verifyDevice(stdout, format, dev, seed), dev.Close())
		},
	}
	cmd.Flags().StringVar(&text, "format", "text", "text, csv or md")
	cmd.Flags().StringVar(&device, "device", workload.CPU, "cpu, cuda (the first GPU) or sim (a simulated one; minutes)")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of inputs and shapes")
	return cmd
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

// verdict sums up the cases of one operator in one variant, type and weight format.
type verdict struct {
	op       kernels.Op
	variant  string
	dtype    kernels.DType
	format   kernels.Format
	cases    int
	failed   int
	relError float64
}

// verifyDevice prints a line per verdict, and returns an error if a case failed.
func verifyDevice(w io.Writer, f render.Format, dev kernels.Device, seed uint64) error {
	var verdicts []verdict
	var failures []error
	cases := verify.Cases(seed)
	for _, op := range kernels.OpNames {
		for _, variant := range dev.Variants(op) {
			if err := dev.Select(op, variant); err != nil {
				return err
			}
			for _, c := range cases {
				if c.Op != op || dev.Supports(op, c.Type, c.Layout.Format) != nil {
					continue
				}
				relError, err := c.Run(dev)
				if err != nil {
					failures = append(failures, fmt.Errorf("%s: %w", variant, err))
				}
				verdicts = tally(verdicts, verdict{op: op, variant: variant, dtype: c.Type, format: c.Layout.Format}, relError, err)
			}
		}
	}
	if err := verdictTable(verdicts).Write(w, f, render.Width(w)); err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d cases differ from the reference, first %w", len(failures), failures[0])
	}
	return nil
}

// tally adds one case to the verdict on the same thing.
func tally(verdicts []verdict, v verdict, relError float64, err error) []verdict {
	i := slices.IndexFunc(verdicts, func(w verdict) bool {
		return w.op == v.op && w.variant == v.variant && w.dtype == v.dtype && w.format == v.format
	})
	if i < 0 {
		i = len(verdicts)
		verdicts = append(verdicts, v)
	}
	verdicts[i].cases++
	verdicts[i].relError = max(verdicts[i].relError, relError)
	if err != nil {
		verdicts[i].failed++
	}
	return verdicts
}

func verdictTable(verdicts []verdict) render.Table {
	t := render.Table{Header: []string{"operator", "variant", "type", "weights", "cases", "max rel error", "verdict"}, Right: []int{4, 5}}
	for _, v := range verdicts {
		result := "ok"
		if v.failed > 0 {
			result = fmt.Sprintf("%d wrong", v.failed)
		}
		weights := ""
		if v.op == kernels.OpLinear {
			weights = v.format.String()
		}
		t.Rows = append(t.Rows, []string{string(v.op), v.variant, v.dtype.String(), weights, fmt.Sprint(v.cases), fmt.Sprintf("%.2g", v.relError), result})
	}
	return t
}
