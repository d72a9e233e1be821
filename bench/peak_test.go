package main

import (
	"bytes"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/cpu/peak"
	"ofpeak/kernels/cuda"
	"ofpeak/results/render"
)

func TestPeakTable(t *testing.T) {
	var out bytes.Buffer
	err := peakTable(peak.Figures{
		Cores:      64,
		Rates:      []peak.Rate{{Type: "float32", Variant: "avx512", One: 117.25, All: 7400}, {Type: "int8", Variant: "go", One: 5.375, All: 10}},
		Bandwidths: []peak.Bandwidth{{Kind: "triad", Bytes: 1 << 27, One: 23.5, All: 410}},
	}).Write(&out, render.Text, 0)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "peak.txt", out.String())
}

// Of simulated GPUs the figures are checked, and none is told; a GPU's have units.
func TestPeakOfGPUs(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(&out, &errs, []string{"peak", "--device", "sim", "--format", "csv"}); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, %s", status, errs.String())
	}
	golden(t, "peak-sim.csv", out.String())
	out.Reset()
	c := cuda.Ceilings{
		Rates:      []cuda.Rate{{Type: kernels.BF16, Variant: "mma.sync", TOPS: 301.25}, {Type: kernels.I8, Sparse24: true, Variant: "mma.sp", TOPS: 1200}},
		Bandwidths: []cuda.Bandwidth{{Kind: "copy", GBps: 1780.5}},
	}
	if err := ceilingTable(c).Write(&out, render.Text, 0); err != nil {
		t.Fatal(err)
	}
	golden(t, "peak-gpu.txt", out.String())
}

func TestPeakMeasures(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(&out, &errs, []string{"peak", "--device", "cpu", "--time", "1ms", "--format", "csv"}); status != 0 {
		t.Fatalf("status %d, %s", status, errs.String())
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(records) < 5 {
		t.Fatalf("got %q, %v", records, err)
	}
	for _, r := range records[1:] {
		cells := r[2:4]
		if strings.HasSuffix(r[0], "ranks") {
			cells = r[3:4] // nobody to talk to on one core
		}
		for _, cell := range cells {
			if v, err := strconv.ParseFloat(cell, 64); err != nil || !(v > 0) {
				t.Errorf("%s %s: %q is no rate", r[0], r[1], cell)
			}
		}
	}
}

func TestPeakErrors(t *testing.T) {
	for args, want := range map[string]string{
		"peak --time 0s":    "ofpeak: --time 0s is no time to measure; take 60ms or more\n",
		"peak --format xml": "ofpeak: --format \"xml\": is unknown; use text, csv or md\n",
	} {
		var errs bytes.Buffer
		if status := run(io.Discard, &errs, strings.Fields(args)); status != 1 || errs.String() != want {
			t.Errorf("%s: status %d, %s", args, status, errs.String())
		}
	}
}
