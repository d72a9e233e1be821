package main

import (
	"context"
	"io"
	"time"

	"ofpeak/bench/rig"
	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/results"
	"ofpeak/results/render"
)

// gpuRig holds the GPUs that --device means; it is nil where the CPU is measured.
func (f *peakFlags) gpuRig(stderr io.Writer) (*rig.Rig, error) {
	o := runnerOptions{Device: f.device, GPUs: f.gpus, Stderr: stderr}
	r, err := openRunnerOr(o, func() (runner, error) { return nil, nil })
	if r == nil || err != nil {
		return nil, err
	}
	return r.(*rig.Rig), nil
}

// gpuPeakTable has one row per figure of one GPU, and one per collective between all that are used.
func gpuPeakTable(ctx context.Context, r *rig.Rig, each time.Duration) (render.Table, error) {
	ceilings, err := r.Ceilings(each)
	if err != nil {
		return render.Table{}, err
	}
	t := ceilingTable(ceilings)
	if m := r.Machine(); m.GPUs > 1 && m.Device != results.Sim {
		return t, addCollectivesOf(ctx, r, m.GPUs, &t, each)
	}
	return t, nil
}

func ceilingTable(c cuda.Ceilings) render.Table {
	t := render.Table{Header: []string{"ceiling", "instructions", "one GPU", "unit"}, Right: []int{2}}
	for _, r := range c.Rates {
		unit := "TFLOPS"
		if r.Type == kernels.I8 {
			unit = "TOPS"
		}
		name := r.Type.String() + " multiply-add"
		if r.Sparse24 {
			name += ", 2:4 with its zeros"
		}
		t.Rows = append(t.Rows, []string{name, r.Variant, told(r.TOPS), unit})
	}
	for _, b := range c.Bandwidths {
		t.Rows = append(t.Rows, []string{"memory " + b.Kind, "", told(b.GBps), "GB/s"})
	}
	return t
}

// told is a figure, or that a simulated device did right what has no speed there.
func told(figure float64) string {
	if figure == 0 {
		return "checked"
	}
	return digits(figure)
}
