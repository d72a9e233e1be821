package main

import (
	"bytes"
	"errors"
	"testing"

	"ofpeak/bench/workload"
)

func TestAutoTakesAGPUOrSaysWhyNot(t *testing.T) {
	cpu, gpu := &fakeRunner{}, &fakeRunner{}
	for _, test := range []struct {
		device       string
		answers      bool
		want         runner
		stderr, fail string
	}{
		{device: "auto", answers: true, want: gpu},
		{device: "auto", want: cpu, stderr: "ofpeak: measuring the CPU: no GPU\n"},
		{device: workload.CUDA, answers: true, want: gpu},
		{device: workload.CUDA, fail: "--device cuda: no GPU; pass --device cpu"},
		{device: workload.CPU, answers: true, want: cpu},
	} {
		var stderr bytes.Buffer
		got, err := choose(runnerOptions{Device: test.device, Stderr: &stderr}, func(runnerOptions) (runner, error) {
			if !test.answers {
				return nil, errors.New("no GPU")
			}
			return gpu, nil
		}, func() (runner, error) { return cpu, nil })
		if got != test.want || stderr.String() != test.stderr {
			t.Errorf("%s, answers %t: got runner %p, said %q", test.device, test.answers, got, stderr.String())
		}
		if test.fail == "" && err != nil || test.fail != "" && (err == nil || err.Error() != test.fail) {
			t.Errorf("%s, answers %t: got %v, want %q", test.device, test.answers, err, test.fail)
		}
	}
}
