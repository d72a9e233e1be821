package rig

import (
	"errors"
	"strings"
	"testing"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/cuda"
	"ofpeak/kernels/cuda/driver"
	"ofpeak/results"
)

var someCeilings = cuda.Ceilings{
	Rates: []cuda.Rate{
		{Type: kernels.F32, Variant: "fma", TOPS: 19}, {Type: kernels.BF16, Variant: "mma.sync", TOPS: 250}, {Type: kernels.BF16, Sparse24: true, Variant: "mma.sp", TOPS: 450},
		{Type: kernels.BF16, Variant: "cublaslt", TOPS: 280}, {Type: kernels.F16, Variant: "mma.sync", TOPS: 240},
		{Type: kernels.F16, Sparse24: true, Variant: "mma.sp", TOPS: 440}, {Type: kernels.F16, Sparse24: true, Variant: "cusparselt", TOPS: 600},
	},
	Bandwidths: []cuda.Bandwidth{{Kind: "read", GBps: 1800}, {Kind: "copy", GBps: 1700}},
}

// A GPU's share is of the fastest that was measured of what the case may use.
func TestGPUSharesAreOfWhatWasMeasured(t *testing.T) {
	for _, test := range []struct {
		dtype, isa string
		sparse24   bool
		want       float64
		basis      string
	}{
		{"bf16", "", false, 280, "measured bf16 multiply-adds, cublaslt, 280 TOPS a GPU"}, {"bf16", "mma", false, 250, ""}, {"bf16", "fma", false, 19, "measured fp32 multiply-adds, fma, 19 TOPS a GPU"},
		{"bf16", "", true, 450, "measured 2:4-sparse bf16 multiply-adds, mma.sp, 450 TOPS a GPU"}, {"fp16", "cublaslt", false, 240, ""}, {"fp32", "", false, 19, ""}, {"int8", "", false, 0, ""},
		{"fp16", "", true, 600, "measured 2:4-sparse fp16 multiply-adds, cusparselt, 600 TOPS a GPU"}, {"fp16", "mma", true, 440, ""}, {"fp16", "cublaslt", true, 440, ""},
	} {
		r, _ := onGPUs(t, 1, 0)
		r.gpus.ceilings = gpuCeilings{Ceilings: someCeilings, asked: true}
		figure, ok := r.measuredPeak(workload.Case{Device: workload.CUDA, ISA: test.isa})(test.dtype, test.sparse24)
		if ok != (test.want > 0) || figure.TOPS != test.want || test.basis != "" && figure.Basis != test.basis {
			t.Errorf("%+v: got %+v, %t", test, figure, ok)
		}
	}
}

// The row of a case on GPUs has the share and the memory's rate of a rank's own GPU, the row of one on simulated GPUs neither, and for it nothing is measured.
func TestRowsHaveTheCeilingsOfGPUs(t *testing.T) {
	r, _ := onGPUs(t, 2, 0)
	r.gpus.ceilings = gpuCeilings{Ceilings: someCeilings}
	c, err := workload.ParseCase("device=sim model=tiny precision=bf16 dp=2")
	if err != nil {
		t.Fatal(err)
	}
	var row results.Row
	row.StepMedianS = results.Some(1e-3)
	r.fillShares(&row, c, measurement{})
	if row.ShareMeasuredPct.Known() || row.MemoryGBPerS.Known() || r.gpus.ceilings.asked {
		t.Errorf("a simulated device has a share: %+v", row)
	}
	c.Device = workload.CUDA
	r.gpus.ceilings.asked = true
	r.fillShares(&row, c, measurement{})
	want := work(c).Model.Total() / 2 / 1e-3 / 280e12 * 100
	if got := row.ShareMeasuredPct.Or(0); got < want*0.999 || got > want*1.001 || row.MemoryGBPerS.Or(0) != 1800 || !strings.Contains(row.ShareMeasuredBasis, "280 TOPS a GPU") {
		t.Errorf("share %v, want %v; %v GB/s, %s", got, want, row.MemoryGBPerS, row.ShareMeasuredBasis)
	}
}

// Ceilings that cannot be measured leave the share empty, and the row says why.
func TestRowsSayWhyThereAreNoCeilings(t *testing.T) {
	r, d := onGPUs(t, 1, 0)
	d.FailAt(12, driver.ErrOutOfMemory)
	c, err := workload.ParseCase("device=cuda model=tiny")
	if err != nil {
		t.Fatal(err)
	}
	var row results.Row
	row.StepMedianS = results.Some(1.0)
	r.fillShares(&row, c, measurement{})
	if notes := strings.Join(r.cautions(c, measurement{}, &row), "; "); row.ShareMeasuredPct.Known() || row.MemoryGBPerS.Known() || !strings.Contains(notes, "no measured ceilings: cuda: ") {
		t.Errorf("got %v and %q", row.ShareMeasuredPct, notes)
	}
	if _, err := r.Ceilings(0); err != nil { // the failure left the device open for others
		t.Error(err)
	}
	d.FailAt(1, driver.ErrNoDevice)
	if _, err := r.Ceilings(0); !errors.Is(err, driver.ErrNoDevice) {
		t.Errorf("got %v", err)
	}
}
