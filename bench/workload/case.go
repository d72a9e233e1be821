package workload

import (
	"fmt"
	"strconv"
	"strings"

	"ofpeak/kernels"
	"ofpeak/results"
)

// Techniques, each a group of rows.
const (
	Baseline       = string(results.Baseline)
	MixedPrecision = string(results.MixedPrecision)
	DataParallel   = string(results.DataParallel)
	ModelParallel  = string(results.ModelParallel)
	Sparse         = string(results.Sparse)
	Distributed    = string(results.Distributed)
)

// Engines.
const (
	Native       = "native"        // our block over a kernels.Device
	Gorgonia     = "gorgonia"      // the same block as a Gorgonia graph
	GorgoniaBLAS = "gorgonia+blas" // the same graph over our matrix products
)

// Passes.
const (
	Train   = string(results.Train)   // forward, backward and optimizer
	Forward = string(results.Forward) // forward only, as in inference
)

// Devices.
const (
	CPU  = string(results.CPU)
	CUDA = string(results.CUDA)
	Sim  = string(results.Sim) // simulated GPUs: results, but no times
	Ref  = "ref"               // the float64 reference: checks others, is never timed
)

// Pipeline schedules.
const (
	GPipe = "gpipe"       // all forwards, then all backwards (Huang et al., arXiv:1811.06965)
	F1B1  = "1f1b"        // one forward, one backward (Narayanan et al., arXiv:1806.03377)
	Inter = "interleaved" // 1F1B with several stages a rank (Narayanan et al., arXiv:2104.04473, section 2.2)
	ZBH1  = "zb-h1"       // 1F1B with the weights' gradients put off (Qi et al., arXiv:2401.10241)
)

// What the partitioner cuts a pipeline's stages by.
const (
	ByCost        = "cost"     // the layers' modelled FLOPs
	ByMeasurement = "measured" // the layers' measured times
	ByCount       = "equal"    // their number: the naive cut
)

// Whether ranks that share a layer communicate while they compute.
const (
	Auto = "auto" // where it has been found to pay: everywhere but for tensor-parallel calls between ranks on CPUs
	On   = "on"
	Off  = "off"
)

// What the backward pass computes again instead of keeping it.
const (
	None   = "none"
	Blocks = "blocks" // everything inside of a block (Chen et al., arXiv:1604.06174)
)

// Names in the order in which they are listed to users.
var (
	Techniques = []string{Baseline, MixedPrecision, DataParallel, ModelParallel, Sparse, Distributed}
	Engines    = []string{Native, Gorgonia, GorgoniaBLAS}
	Passes     = []string{Train, Forward}
	Devices    = []string{CPU, CUDA, Sim, Ref}
	Cuts       = []string{ByCost, ByMeasurement, ByCount}
	Schedules  = []string{GPipe, F1B1, Inter, ZBH1}
	Recomputes = []string{None, Blocks}
	Overlaps   = []string{Auto, On, Off}
)

// DefaultBucketBytes is small enough that the gradients of one gpt2 block (28 MB in float32) fill several buckets, whose
// all-reduces can overlap with the rest of the backward pass.
const DefaultBucketBytes = 4 << 20

// Case is one measurement: everything that decides what runs, and nothing about where. It is comparable, and String is the line that
// reproduces it. Model.B is the batch of all ranks together, so every strategy computes the same numbers as one device.
type Case struct {
	Technique    string // the row's group; Classify(c) says which
	Engine       string
	Precision    string // a name of kernels.Precisions
	Model        Model
	Pass         string
	Device       string
	DP, TP, PP   int            // ranks along the data, tensor and pipeline axis
	EP           int            // ranks that each have a part of the batch and of the experts
	CP           int            // ranks that each have a part of every sequence
	Sequence     bool           // tokens are split over the tensor-parallel ranks where a block has no product
	Overlap      string         // whether ranks that share a layer communicate while they compute
	Schedule     string         // of the pipeline; "" if PP is 1
	Chunks       int            // stages that each rank of an interleaved pipeline holds
	Cut          string         // what the pipeline's stages are cut by
	Microbatches int            // a step's batch is processed in so many parts
	BucketBytes  int            // gradients are all-reduced in pieces of this size
	ZeRO         int            // what data-, expert- and context-parallel ranks share: 1 optimizer state, 2 also gradients, 3 also weights
	Recompute    string         // what the backward pass computes again instead of keeping it
	Layout       kernels.Layout // of the block's weight matrices
	Experts      Experts        // in place of the block's MLP
	Memory       Bytes          // that each rank's device may allocate; 0: what there is
	Threads      int            // cores of each rank; 0: an equal share of the machine's
	ISA          string         // variant of every operator that has it; "": the fastest
	Seed         int64          // of weights and inputs
}

// Default is the dense fp32 training step of a model on one rank.
func Default(m Model) Case {
	return Case{Technique: Baseline, Engine: Native, Precision: "fp32", Model: m, Pass: Train, Device: CPU, DP: 1, TP: 1, PP: 1, EP: 1, CP: 1, Overlap: Auto, Cut: ByCost,
		Chunks: 1, Microbatches: 1, BucketBytes: DefaultBucketBytes, Recompute: None, Seed: 1}
}

// IsGorgonia reports whether the case runs as a Gorgonia graph.
func (c Case) IsGorgonia() bool { return c.Engine == Gorgonia || c.Engine == GorgoniaBLAS }

// OnGPU reports whether each rank has a GPU, real or simulated.
func (c Case) OnGPU() bool { return c.Device == CUDA || c.Device == Sim }

// World is the number of ranks.
func (c Case) World() int { return c.DP * c.TP * c.PP * c.EP * c.CP }

// Replicas is the number of ranks that have a copy of each parameter but for experts, each with tokens of its own.
func (c Case) Replicas() int { return c.DP * c.EP * c.CP }

// sharesLayers reports whether several ranks work on each layer.
func (c Case) sharesLayers() bool { return c.World() > c.PP }

// Classify names the technique that a case shows: the most specific of its parts, so that bf16 with data parallelism is
// data-parallel, and sparse weights in bf16 are sparse.
func Classify(c Case) string {
	axes := 0
	for _, n := range []int{c.DP, c.TP, c.PP, c.EP, c.CP} {
		if n > 1 {
			axes++
		}
	}
	switch {
	case axes > 1:
		return Distributed
	case c.DP > 1:
		return DataParallel
	case axes == 1:
		return ModelParallel
	case c.Layout.Format != kernels.Dense || c.Experts != (Experts{}):
		return Sparse
	case c.Precision != "fp32" && c.Precision != "fp64":
		return MixedPrecision
	}
	return Baseline
}

// field is one key=value of a case's line.
type field struct {
	key string
	get func(*Case) string
	set func(*Case, string) error
}

// fields are in the order of the line. The first three are always written, the others where they differ from Default.
var fields = []field{
	text("technique", func(c *Case) *string { return &c.Technique }),
	text("precision", func(c *Case) *string { return &c.Precision }),
	{"model", func(c *Case) string { return c.Model.String() }, func(c *Case, s string) (err error) {
		c.Model, err = ParseModel(s)
		return err
	}},
	text("engine", func(c *Case) *string { return &c.Engine }),
	text("pass", func(c *Case) *string { return &c.Pass }),
	text("device", func(c *Case) *string { return &c.Device }),
	number("dp", func(c *Case) *int { return &c.DP }),
	number("tp", func(c *Case) *int { return &c.TP }),
	number("pp", func(c *Case) *int { return &c.PP }),
	number("ep", func(c *Case) *int { return &c.EP }),
	number("cp", func(c *Case) *int { return &c.CP }),
	toggle("sequence_parallel", func(c *Case) *bool { return &c.Sequence }),
	text("overlap", func(c *Case) *string { return &c.Overlap }),
	text("schedule", func(c *Case) *string { return &c.Schedule }),
	number("chunks", func(c *Case) *int { return &c.Chunks }),
	text("cut", func(c *Case) *string { return &c.Cut }),
	number("microbatches", func(c *Case) *int { return &c.Microbatches }),
	number("bucket_bytes", func(c *Case) *int { return &c.BucketBytes }),
	number("zero", func(c *Case) *int { return &c.ZeRO }),
	text("recompute", func(c *Case) *string { return &c.Recompute }),
	{"layout", func(c *Case) string { return LayoutString(c.Layout) }, func(c *Case, s string) (err error) {
		c.Layout, err = ParseLayout(s)
		return err
	}},
	{"experts", func(c *Case) string { return c.Experts.String() }, func(c *Case, s string) (err error) {
		c.Experts, err = ParseExperts(s)
		return err
	}},
	{"memory", func(c *Case) string { return c.Memory.String() }, func(c *Case, s string) (err error) {
		c.Memory, err = ParseBytes(s)
		return err
	}},
	number("threads", func(c *Case) *int { return &c.Threads }),
	text("isa", func(c *Case) *string { return &c.ISA }),
	{"seed", func(c *Case) string { return strconv.FormatInt(c.Seed, 10) }, func(c *Case, s string) (err error) {
		c.Seed, err = strconv.ParseInt(s, 10, 64)
		return err
	}},
}

func text(key string, at func(*Case) *string) field {
	return field{key, func(c *Case) string { return *at(c) }, func(c *Case, s string) error { *at(c) = s; return nil }}
}

func number(key string, at func(*Case) *int) field {
	return field{key, func(c *Case) string { return strconv.Itoa(*at(c)) }, func(c *Case, s string) (err error) {
		*at(c), err = strconv.Atoi(s)
		return err
	}}
}

func toggle(key string, at func(*Case) *bool) field {
	return field{key, func(c *Case) string { return strconv.FormatBool(*at(c)) }, func(c *Case, s string) error {
		if s != "true" && s != "false" {
			return fmt.Errorf("neither true nor false")
		}
		*at(c) = s == "true"
		return nil
	}}
}

// String is the line from which ParseCase makes the same case: technique, precision, model, and what differs from Default.
func (c Case) String() string {
	var parts []string
	usual := Default(c.Model)
	for i, f := range fields {
		if v := f.get(&c); i < 3 || v != f.get(&usual) {
			parts = append(parts, f.key+"="+v)
		}
	}
	return strings.Join(parts, " ")
}

// ParseCase reads a line of key=value fields as String writes them. model is required, a missing technique is what Classify says, other
// missing fields are those of Default. The case is not validated.
func ParseCase(line string) (Case, error) {
	c := Default(Model{})
	seen := map[string]bool{}
	for part := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(part, "=")
		f, ok := fieldNamed(key)
		if !ok {
			return Case{}, fmt.Errorf("--case: unknown field %q; known: %s", key, fieldNames())
		}
		if seen[key] {
			return Case{}, fmt.Errorf("--case: %s is given twice; keep one", key)
		}
		seen[key] = true
		if err := f.set(&c, value); err != nil {
			return Case{}, fmt.Errorf("--case: %s=%s: %w", key, value, plain(err))
		}
	}
	if !seen["model"] {
		return Case{}, fmt.Errorf("--case: no model; add model=NAME with a name of %s", strings.Join(PresetNames(), ", "))
	}
	if !seen["technique"] {
		c.Technique = Classify(c)
	}
	return c, nil
}

func fieldNamed(key string) (field, bool) {
	for _, f := range fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func fieldNames() string {
	var names []string
	for _, f := range fields {
		names = append(names, f.key)
	}
	return strings.Join(names, ", ")
}

// plain drops strconv's function name and input, which the caller names better.
func plain(err error) error {
	if n, ok := err.(*strconv.NumError); ok {
		if n.Err == strconv.ErrRange {
			return fmt.Errorf("the number is too large; pass a smaller one")
		}
		return fmt.Errorf("not a whole number; pass one such as 2")
	}
	return err
}
