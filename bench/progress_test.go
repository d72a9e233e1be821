package main

import (
	"errors"
	"testing"

	"ofpeak/bench/workload"
)

// The weights are held against what such cases took on two cores of an AMD EPYC, in seconds.
func TestWeightsAreWhatCasesTake(t *testing.T) {
	for line, seconds := range map[string]float64{
		"model=gpt2":                             9,
		"model=gpt2 precision=bf16":              6,
		"model=gpt2 pass=forward":                5,
		"model=gpt2 pass=forward precision=int8": 3,
		"model=small":                            2.5,
		"model=small pass=forward":               2,
	} {
		c, err := workload.ParseCase(line)
		if err != nil {
			t.Fatal(err)
		}
		if w := float64(weight(workload.Planned{Case: c})) / 1000; w < seconds/2 || w > seconds*2 {
			t.Errorf("%s weighs %g, and takes %g s", line, w, seconds)
		}
	}
	if w := weight(workload.Planned{Skip: errors.New("no such device")}); w != 1 {
		t.Errorf("a skipped case weighs %d", w)
	}
}
