package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Part is one step of the waterfall from 100 % of the measured peak down to what was achieved.
type Part struct {
	Column  string
	Label   string // for people
	Seconds float64
}

type wfPart struct {
	column, label string
	value         *Opt[float64]
}

// waterfall are the parts in the order in which they are shown. The first is what the peak would have taken.
func (r *Row) waterfall() []wfPart {
	return []wfPart{
		{"wf_ideal_s", "model FLOPs at the measured peak", &r.WFIdealS},
		{"wf_matmul_s", "matrix products below peak", &r.WFMatmulS},
		{"wf_attention_s", "attention below peak", &r.WFAttentionS},
		{"wf_memory_bound_s", "memory-bound operators", &r.WFMemoryBoundS},
		{"wf_recompute_s", "recomputed activations", &r.WFRecomputeS},
		{"wf_optimizer_s", "optimizer", &r.WFOptimizerS},
		{"wf_comm_s", "exposed communication", &r.WFCommS},
		{"wf_bubble_s", "pipeline bubble", &r.WFBubbleS},
		{"wf_imbalance_s", "imbalance of ranks", &r.WFImbalanceS},
		{"wf_host_s", "host and launch gaps", &r.WFHostS},
		{"wf_throttle_s", "lower clock than at the peak", &r.WFThrottleS},
	}
}

// Waterfall is where the step went: parts that add up to the median step, the mean over the ranks; nil if it was not measured. Where no
// peak was measured there is no ideal, and products and attention keep their whole time.
func (r *Row) Waterfall() []Part {
	var parts []Part
	for i, p := range r.waterfall() {
		s, ok := p.value.Get()
		switch {
		case ok:
			parts = append(parts, Part{p.column, p.label, s})
		case i > 0:
			return nil
		}
	}
	return parts
}

// waterfallTolerance is the share of the step by which its parts may miss it.
const waterfallTolerance = 0.02

// checkWaterfall holds that the parts are all there, or none, and add up.
func (r *Row) checkWaterfall() error {
	if !r.ProfiledStepS.Known() && !r.WFHostS.Known() {
		return nil
	}
	sum := 0.0
	for i, p := range r.waterfall() {
		if i > 0 && !p.value.Known() {
			return columnErrorf(p.column, "is empty, but other parts of the waterfall are not")
		}
		sum += p.value.Or(0)
	}
	if !r.ProfiledStepS.Known() {
		return columnErrorf("profiled_step_s", "is empty, but the waterfall is not")
	}
	step := r.StepMedianS.Or(0)
	if math.Abs(sum-step) > waterfallTolerance*step {
		return columnErrorf("wf_ideal_s", "and the other parts of the waterfall add up to %v s, the step is %v s", sum, step)
	}
	return nil
}

// OpTime is what one kind of operator takes in a step: the mean over ranks of its time, FLOPs and bytes on one rank.
type OpTime struct {
	Name                  string
	Seconds, FLOPs, Bytes float64
}

// OpTimes are the kinds of operators of a step; in a CSV each is name:seconds:FLOPs:bytes, joined by ';'.
type OpTimes []OpTime

// String joins the operators.
func (o OpTimes) String() string {
	parts := make([]string, len(o))
	for i, op := range o {
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		parts[i] = op.Name + ":" + number(op.Seconds) + ":" + number(op.FLOPs) + ":" + number(op.Bytes)
	}
	return strings.Join(parts, ";")
}

// MarshalText writes String.
func (o OpTimes) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (o *OpTimes) UnmarshalText(text []byte) error {
	*o = nil
	if len(text) == 0 {
		return nil
	}
	var ops OpTimes
	for _, part := range strings.Split(string(text), ";") {
		op, err := parseOp(part)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	*o = ops
	return nil
}

func parseOp(text string) (OpTime, error) {
	cells := strings.Split(text, ":")
	if len(cells) != 4 {
		return OpTime{}, fmt.Errorf("%s is not name:seconds:FLOPs:bytes", quote(text))
	}
	op := OpTime{Name: cells[0]}
	for i, to := range []*float64{&op.Seconds, &op.FLOPs, &op.Bytes} {
		var err error
		if *to, err = parseFloat(cells[i+1]); err != nil {
			return OpTime{}, badNumber([]byte(cells[i+1]))
		}
	}
	return op, nil
}

// checkOps holds that the operators can be written and read again.
func (r *Row) checkOps() error {
	seen := map[string]bool{}
	for _, op := range r.Ops {
		if op.Name == "" || strings.ContainsAny(op.Name, ":;") || checkLine(op.Name) != nil || seen[op.Name] {
			return columnErrorf("ops", "%s is no operator's name, or occurs twice", quote(op.Name))
		}
		seen[op.Name] = true
		for _, v := range []float64{op.Seconds, op.FLOPs, op.Bytes} {
			if err := checkNumber(v, false); err != nil {
				return columnErrorf("ops", "%s: %w", op.Name, err)
			}
		}
	}
	return nil
}
