package results

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/jszwec/csvutil"
)

// SchemaVersion is the version of the columns of Row. It rises when a column is added, removed or changes its meaning. A column that
// version 1 did not have says in its tag "since" which one brought it; in files of earlier versions it is missing, and read as empty. One that came
// to a version later, as "2+", may be missing in its files too.
const SchemaVersion = 2

// Row is one case and its result: one line of a results CSV. The columns stand in the order of the fields; docs/csv.md gives the meaning of each.
// The zero values of Opt, Samples and of the optional strings mean "not measured" or "does not apply" and are written as empty cells.
type Row struct {
	// Identity: what was asked for. Case is the line that reproduces the row; the fields after it are what comparisons pair by.
	Schema           int          `csv:"schema"`
	Case             string       `csv:"case"`
	Technique        Technique    `csv:"technique"`
	Precision        Precision    `csv:"precision"`
	Engine           string       `csv:"engine"` // native, gorgonia, gorgonia+blas
	Model            string       `csv:"model"`  // preset, or custom
	Pass             Pass         `csv:"pass"`
	C                int          `csv:"c"`                           // channels
	NH               int          `csv:"nh"`                          // heads
	T                int          `csv:"t"`                           // tokens of a sequence
	L                int          `csv:"l"`                           // blocks
	B                int          `csv:"b"`                           // sequences of a step, over all ranks
	Vocab            Opt[int]     `csv:"vocab"`                       // of a language model
	DP               int          `csv:"dp"`                          // data-parallel ranks
	TP               int          `csv:"tp"`                          // tensor-parallel ranks
	PP               int          `csv:"pp"`                          // pipeline stages
	Ranks            int          `csv:"ranks"`                       // world size
	ThreadsPerRank   Opt[int]     `csv:"threads_per_rank"`            // CPU only
	EP               Opt[int]     `csv:"ep" since:"2"`                // expert-parallel ranks
	CP               Opt[int]     `csv:"cp" since:"2+"`               // context-parallel ranks
	SequenceParallel string       `csv:"sequence_parallel" since:"2"` // on, or empty
	Overlap          string       `csv:"overlap" since:"2+"`          // of communication and computing: on, off, or empty
	Schedule         string       `csv:"schedule"`                    // of the pipeline
	Chunks           Opt[int]     `csv:"chunks" since:"2"`            // of the layers, on each rank of an interleaved pipeline
	Cut              string       `csv:"cut" since:"2"`               // of the stages, if not by modelled cost
	Microbatches     Opt[int]     `csv:"microbatches"`
	BucketBytes      Opt[int64]   `csv:"bucket_bytes"` // of the gradient all-reduce
	ZeRO             Opt[int]     `csv:"zero"`         // stage of ZeRO
	Recompute        string       `csv:"recompute"`    // in the backward pass
	SparseFormat     string       `csv:"sparse_format"`
	SparseDensity    Opt[float64] `csv:"sparse_density"`                // kept weights / all weights
	Experts          string       `csv:"experts" since:"2"`             // COUNTxCHOICES@CAPACITY
	MemoryLimitBytes Opt[int64]   `csv:"memory_limit_bytes" since:"2+"` // of a rank's allocator
	Variants         string       `csv:"variants"`                      // forced by the user; empty: the device chose
	Seed             int64        `csv:"seed"`

	// Environment: where it ran.
	Commit          string     `csv:"commit"`
	ToolVersion     string     `csv:"tool_version"`
	Host            string     `csv:"host"`
	OSArch          string     `csv:"os_arch"`
	Device          DeviceKind `csv:"device"`
	DeviceName      string     `csv:"device_name"`
	Chip            string     `csv:"chip"` // row of the chip table, or empty
	CoresUsed       Opt[int]   `csv:"cores_used"`
	VariantsUsed    string     `csv:"variants_used"`     // what ran
	Graphs          string     `csv:"graphs" since:"2+"` // on or off: whether a GPU's steps were launches of a graph
	GoVersion       string     `csv:"go_version"`
	LibraryVersions string     `csv:"library_versions"`
	UTCTime         time.Time  `csv:"utc_time"`

	// Outcome.
	Status  Status `csv:"status"`
	Reason  string `csv:"reason"`             // why the status is not ok, or what to beware of in an ok row
	Largest string `csv:"largest" since:"2+"` // of a search: the dim that was made as large as the memory limit allows
	Auto    string `csv:"auto" since:"2+"`    // of a search for the fastest split: Chosen or Finalist

	// Measurement: the time of one step is the maximum over the ranks.
	WarmupSteps   Opt[int]     `csv:"warmup_steps"`
	Warmup        string       `csv:"warmup" since:"2"` // how it ended: steady, unsteady, short
	SampleCount   Opt[int]     `csv:"samples"`
	Stopped       string       `csv:"stopped" since:"2"` // why sampling ended: precise, samples, time
	StepMedianS   Opt[float64] `csv:"step_median_s"`
	StepCILowS    Opt[float64] `csv:"step_ci_low_s"`  // 95 %
	StepCIHighS   Opt[float64] `csv:"step_ci_high_s"` // 95 %
	StepSpreadPct Opt[float64] `csv:"step_spread_pct"`
	StepSamplesS  Samples      `csv:"step_samples_s"`

	PredictedStepS Opt[float64] `csv:"predicted_step_s" since:"2+"` // by the cost model, before it was measured

	// Throughput.
	TokensPerStep             Opt[int64]   `csv:"tokens_per_step"`
	TokensPerS                Opt[float64] `csv:"tokens_per_s"`
	ModelFLOPsPerStep         Opt[int64]   `csv:"model_flops_per_step"`
	ExecutedFLOPsPerStep      Opt[int64]   `csv:"executed_flops_per_step"`
	FLOPsFormula              string       `csv:"flops_formula"` // name and version
	TFLOPSTotal               Opt[float64] `csv:"tflops_total"`
	TFLOPSPerDevice           Opt[float64] `csv:"tflops_per_device"`
	ExecutedTFLOPSPerDevice   Opt[float64] `csv:"executed_tflops_per_device"`
	DenseEquivTFLOPSPerDevice Opt[float64] `csv:"dense_equiv_tflops_per_device"` // as if sparse weights were dense

	// Shares of a peak: share_* of the model FLOPs (MFU), hfu_* of the executed FLOPs (HFU), both of the peak that the basis names.
	ShareSurveyPct     Opt[float64] `csv:"share_survey_pct"`
	HFUSurveyPct       Opt[float64] `csv:"hfu_survey_pct"`
	ShareSurveyBasis   string       `csv:"share_survey_basis"`
	ShareVendorPct     Opt[float64] `csv:"share_vendor_pct"`
	HFUVendorPct       Opt[float64] `csv:"hfu_vendor_pct"`
	ShareVendorBasis   string       `csv:"share_vendor_basis"`
	ShareMeasuredPct   Opt[float64] `csv:"share_measured_pct"`
	HFUMeasuredPct     Opt[float64] `csv:"hfu_measured_pct"`
	ShareMeasuredBasis string       `csv:"share_measured_basis"`
	MemoryGBPerS       Opt[float64] `csv:"memory_gb_per_s" since:"2"` // measured, a rank's share

	// Memory and communication.
	PeakBytesPerRank Opt[int64]   `csv:"peak_bytes_per_rank"`          // counted by the device's allocator
	ModelStateBytes  Opt[int64]   `csv:"model_state_bytes" since:"2+"` // of a rank, by ZeRO's formula
	ProcessPeakBytes Opt[int64]   `csv:"process_peak_bytes"`
	Collectives      string       `csv:"collectives" since:"2"` // what moved data between ranks
	CommBytes        Opt[int64]   `csv:"comm_bytes"`            // sent by one rank in one step
	CommExposedS     Opt[float64] `csv:"comm_exposed_s"`

	// Phases of one step.
	ForwardS   Opt[float64] `csv:"forward_s"`
	BackwardS  Opt[float64] `csv:"backward_s"`
	OptimizerS Opt[float64] `csv:"optimizer_s"`
	CommS      Opt[float64] `csv:"comm_s"`
	BubbleS    Opt[float64] `csv:"bubble_s"` // waiting for other pipeline stages

	// The waterfall: where the step went, seconds of one step, the mean over ranks. Together they are StepMedianS; see Waterfall.
	WFIdealS       Opt[float64] `csv:"wf_ideal_s" since:"2"`     // model FLOPs at the measured peak
	WFMatmulS      Opt[float64] `csv:"wf_matmul_s" since:"2"`    // what matrix products took beyond it; below 0 if they beat the peak
	WFAttentionS   Opt[float64] `csv:"wf_attention_s" since:"2"` // the same of attention
	WFMemoryBoundS Opt[float64] `csv:"wf_memory_bound_s" since:"2"`
	WFRecomputeS   Opt[float64] `csv:"wf_recompute_s" since:"2"` // forward operators run again in the backward pass
	WFOptimizerS   Opt[float64] `csv:"wf_optimizer_s" since:"2"`
	WFCommS        Opt[float64] `csv:"wf_comm_s" since:"2"`   // exposed
	WFBubbleS      Opt[float64] `csv:"wf_bubble_s" since:"2"` // waiting for ranks of other stages
	WFImbalanceS   Opt[float64] `csv:"wf_imbalance_s" since:"2"`
	WFHostS        Opt[float64] `csv:"wf_host_s" since:"2"` // the compute stream had nothing to do
	WFThrottleS    Opt[float64] `csv:"wf_throttle_s" since:"2"`
	ProfiledStepS  Opt[float64] `csv:"profiled_step_s" since:"2"` // the step from which the parts were taken, before they were scaled
	Ops            OpTimes      `csv:"ops" since:"2"`

	// Validity: what else went on while the case was stepped.
	ClockRatio          Opt[float64] `csv:"clock_ratio" since:"2"`       // against the clock when the peak was measured
	ClockChangePct      Opt[float64] `csv:"clock_change_pct" since:"2+"` // while it was stepped
	HandoffNs           Opt[float64] `csv:"handoff_ns" since:"2+"`       // from one core to another
	ThrottleEvents      Opt[int64]   `csv:"throttle_events" since:"2"`
	StealPct            Opt[float64] `csv:"steal_pct" since:"2"`
	OthersPct           Opt[float64] `csv:"others_pct" since:"2+"`
	RunDelayPct         Opt[float64] `csv:"run_delay_pct" since:"2"`
	PressurePct         Opt[float64] `csv:"pressure_pct" since:"2"`
	InvoluntarySwitches Opt[int64]   `csv:"involuntary_switches" since:"2"`
	EnergyPerTokenJ     Opt[float64] `csv:"energy_per_token_j" since:"2"`
	EnergyBasis         string       `csv:"energy_basis" since:"2"`

	// What the GPUs did meanwhile, as NVML tells it.
	GPUSMClockMHz      Opt[float64] `csv:"gpu_sm_clock_mhz" since:"2"`       // mean
	GPULeastSMClockMHz Opt[float64] `csv:"gpu_least_sm_clock_mhz" since:"2"` // of any GPU
	GPUMaxSMClockMHz   Opt[float64] `csv:"gpu_max_sm_clock_mhz" since:"2"`   // that they can have
	GPUPowerW          Opt[float64] `csv:"gpu_power_w" since:"2"`            // mean of one GPU
	GPUTemperatureC    Opt[float64] `csv:"gpu_temperature_c" since:"2"`      // highest
	GPUThrottleReasons string       `csv:"gpu_throttle_reasons" since:"2"`
	GPUMemoryBytes     Opt[int64]   `csv:"gpu_memory_bytes" since:"2"` // most in use on one GPU, by all processes

	// Experts of the last step.
	ExpertDroppedPct Opt[float64] `csv:"expert_dropped_pct" since:"2"` // of the choices

	// Relative to other rows of the same run.
	SpeedupVsBaseline Opt[float64] `csv:"speedup_vs_baseline"`
	ScalingEfficiency Opt[float64] `csv:"scaling_efficiency"`

	// Correctness.
	MaxRelError       Opt[float64] `csv:"max_rel_error"`
	ErrorTolerance    Opt[float64] `csv:"error_tolerance"`
	VerifiedModel     string       `csv:"verified_model"` // the preset that was held against the reference
	LossFirst         Opt[float64] `csv:"loss_first"`
	LossLast          Opt[float64] `csv:"loss_last"`
	FinalLoss         Opt[float64] `csv:"final_loss"`
	FinalLossBaseline Opt[float64] `csv:"final_loss_baseline"`
	LossCurve         Samples      `csv:"loss_curve"`    // of the training check, by step
	SkippedSteps      Opt[int]     `csv:"skipped_steps"` // by dynamic loss scaling
}

// earlierColumns are the columns that a file of a schema version must have.
func earlierColumns(schema int) []string {
	var names []string
	row := reflect.TypeOf(Row{})
	for i := range row.NumField() {
		tag := row.Field(i).Tag
		if since, later := strings.CutSuffix(tag.Get("since"), "+"); !later && atoi(since) <= schema {
			names = append(names, tag.Get("csv"))
		}
	}
	return names
}

// atoi reads a number of this file's own tags; no number is 0.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// Columns are the names of the columns, in order.
func Columns() []string {
	names, err := csvutil.Header(Row{}, "csv")
	if err != nil {
		panic("results: Row has no header")
	}
	return names
}
