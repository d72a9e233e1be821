package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"ofpeak/results"
)

// A suite runs on simulated GPUs without one, and its rows tell results only.
func TestRunOnSimulatedGPUs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.csv")
	var stdout, stderr bytes.Buffer
	status := run(&stdout, &stderr, []string{"run", "--device", "sim", "--gpus", "2", "--suite", "smoke", "--technique", "data-parallel",
		"--precision", "bf16", "--model", "C=16,NH=2,T=4,L=1,B=2", "--out", path})
	if status != 0 {
		t.Fatalf("status %d\n%s%s", status, stdout.String(), stderr.String())
	}
	file, err := results.Read(path)
	if err != nil || len(file.Rows) != 3 || len(file.Warnings) > 0 {
		t.Fatalf("%d rows, %v, %v", len(file.Rows), file.Warnings, err)
	}
	for _, row := range file.Rows {
		if row.Status != results.OK || row.Device != results.Sim || !row.MaxRelError.Known() || !row.CommBytes.Known() || !row.PeakBytesPerRank.Known() || row.StepMedianS.Known() {
			t.Errorf("got %+v", row)
		}
	}
	if strings.Contains(stderr.String(), "measuring the CPU") {
		t.Errorf("a simulation asks for GPUs: %s", stderr.String())
	}
}
