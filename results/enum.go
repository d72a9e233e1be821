package results

import (
	"fmt"
	"slices"
	"strings"
)

// Technique is the way of training that a row measures.
type Technique string

// Techniques, in the order of reports.
const (
	Baseline       Technique = "baseline"        // dense fp32 on one rank
	MixedPrecision Technique = "mixed-precision" // 16-bit or 8-bit compute, fp32 master weights and statistics
	DataParallel   Technique = "data-parallel"   // the batch split over ranks
	ModelParallel  Technique = "model-parallel"  // tensor or pipeline parallel
	Sparse         Technique = "sparse"          // 2:4 or block-sparse weights
	Distributed    Technique = "distributed"     // products of data, tensor and pipeline parallel
)

// Techniques lists every technique, in the order of reports.
var Techniques = []Technique{Baseline, MixedPrecision, DataParallel, ModelParallel, Sparse, Distributed}

// Precision names the type that the matrix products compute in.
type Precision string

// Precisions are the names that a row may carry.
var Precisions = []Precision{"fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8"}

// Pass is the part of training that a step runs.
type Pass string

// Passes: a step is forward, backward and optimizer, or forward alone.
const (
	Train   Pass = "train"
	Forward Pass = "forward"
)

// DeviceKind is the kind of device that ran the case.
type DeviceKind string

// Kinds of device. Sim is a simulated GPU: its results are checked, its speed means nothing and is never recorded.
const (
	CPU  DeviceKind = "cpu"
	CUDA DeviceKind = "cuda"
	Sim  DeviceKind = "sim"

	Other DeviceKind = "other" // one that this tool cannot drive: only imported rows have it
)

// Status says whether a row's numbers can be used.
type Status string

// Statuses.
const (
	OK      Status = "ok"      // measured and verified
	Skipped Status = "skipped" // not run: this device cannot
	Failed  Status = "failed"  // began and did not end
	Wrong   Status = "wrong"   // ran, and its numbers differ from the reference
	Suspect Status = "suspect" // ran and verified, but a number cannot be true, such as a share of peak over 100 %

	Imported Status = "imported" // measured elsewhere, not verified; the reason is the source
)

// UnmarshalText reads a technique and refuses an unknown one.
func (v *Technique) UnmarshalText(text []byte) error { return parseEnum(v, text, Techniques) }

// UnmarshalText reads a precision and refuses an unknown one.
func (v *Precision) UnmarshalText(text []byte) error { return parseEnum(v, text, Precisions) }

// UnmarshalText reads a pass and refuses an unknown one.
func (v *Pass) UnmarshalText(text []byte) error { return parseEnum(v, text, passes) }

// UnmarshalText reads a kind of device and refuses an unknown one.
func (v *DeviceKind) UnmarshalText(text []byte) error { return parseEnum(v, text, deviceKinds) }

// UnmarshalText reads a status and refuses an unknown one.
func (v *Status) UnmarshalText(text []byte) error { return parseEnum(v, text, statuses) }

var (
	passes      = []Pass{Train, Forward}
	deviceKinds = []DeviceKind{CPU, CUDA, Sim, Other}
	statuses    = []Status{OK, Skipped, Failed, Wrong, Suspect, Imported}
)

// What a row is in a search for the fastest split.
const (
	Chosen   = "chosen"
	Finalist = "finalist"
)

func parseEnum[E ~string](v *E, text []byte, known []E) error {
	*v = E(text)
	return checkEnum(*v, known)
}

func checkEnum[E ~string](v E, known []E) error {
	if slices.Contains(known, v) {
		return nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	return fmt.Errorf("%s is unknown; known are %s", quote(string(v)), strings.Join(names, ", "))
}
