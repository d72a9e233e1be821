package rig

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"ofpeak/bench/workload"
	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/parallel"
	"ofpeak/parallel/trainer"
	"ofpeak/results"
)

// snapshot is what one step leaves: the loss, every gradient (training) or the outputs (forward pass), as whole tensors.
type snapshot struct {
	loss    float64
	tensors map[string][]float64
	have    []shard // what this process has put in
}

// verify trains one step of the case on a model small enough for the float64 reference, with the same strategy, layout, precision and
// instruction set, and holds the loss and every gradient against one reference device.
func (r *Rig) verify(ctx context.Context, c workload.Case, row *results.Row) error {
	small, err := r.decisive(ctx, verifiable(c))
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	want, err := r.reference(ctx, small)
	if err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	got, err := r.snapshot(ctx, small)
	if err != nil {
		return fmt.Errorf("verification: %w", err)
	}
	worst, where, distance := 0.0, "", distance(c)
	for name, w := range want.tensors {
		if e := distance(got.tensors[name], w); e >= worst {
			worst, where = e, name
		}
	}
	if e := kernels.RelError([]float64{got.loss}, []float64{want.loss}); e > worst {
		worst, where = e, "loss"
	}
	tolerance := tolerance(c)
	row.MaxRelError, row.ErrorTolerance = results.Finite(worst), results.Some(tolerance)
	row.VerifiedModel = small.Model.String()
	if !(worst <= tolerance) {
		return fmt.Errorf("%w: %s is off by %.2g of the float64 reference, more than %.2g", errWrong, where, worst, tolerance)
	}
	return nil
}

// distance is how the error of a tensor is measured: by its worst element, but in 8 bits, whose noise is large, by all elements together.
func distance(c workload.Case) func(got, want []float64) float64 {
	if p, _ := kernels.PrecisionNamed(c.Precision); p.Math == kernels.FP8 {
		return kernels.NormError
	}
	return kernels.RelError
}

// tolerance bounds the relative error of one step, element by element, by the compute type's rounding. fp32 also sums in fp32, over as many
// terms as a product has; a large vocabulary is a longer sum still, whose error grows with its root (measured: 24 eps at most at 128 words, 98 at 512, 167 at 2048). A 16-bit
// type rounds what is stored between some thirty operators, each within fp32 sums. An 8-bit product rounds to
// 1/127 of a row's largest value, but most of an output is the residual that it is added to. A wrong kernel is off by far more. Rounding to fp8 is off by an error whose root
// mean square is 2.6 % (e4m3) or 5.2 % (e5m2) of a factor: those of the 17 products that a gradient of two layers has behind it add up, as squares, to 20 % at most (measured: 8
// to 10 %), and where experts choose, a token that was a close call may go to another one (26 %).
func tolerance(c workload.Case) float64 {
	p, _ := kernels.PrecisionNamed(c.Precision)
	switch {
	case p.Int8:
		return 0.02
	case p.Math == kernels.FP8 && c.Experts != (workload.Experts{}):
		return 2 * p.Math.Eps()
	case p.Math == kernels.FP8:
		return p.Math.Eps()
	case p.Math != 0:
		return 16 * p.Math.Eps()
	case p.Compute == kernels.F64:
		return 1e-10
	case p.Compute == kernels.F32:
		return 64 * p.Compute.Eps() * math.Sqrt(max(1, float64(c.Model.V)/smallVocabulary))
	}
	return 16 * p.Compute.Eps()
}

// smallVocabulary is one whose sums are no longer than a product's.
const smallVocabulary = 128

// verifyTokens is the longest sequence that is verified: no multiple of any tile, yet of several tiles.
const verifyTokens = 76

// verifiable is the case with as small a model as its strategy and layout allow, of the same head size.
func verifiable(c workload.Case) workload.Case {
	c.Memory = 0
	c.Model.Name = ""
	hs, full := min(c.Model.HS(), 64), c.Model
	c.Model.B = c.DP * c.EP * c.Microbatches
	c.Model.L = min(full.L, max(2, c.PP*c.Chunks))
	unit := c.TP * max(1, c.Experts.Parts)
	if c.CP > 1 {
		unit = max(unit, 2*c.CP*c.TP)
	}
	tokens := verifyTokens
	if closeCalls(c) {
		tokens = min(tokens, max(fewestTokens, decided/(c.Model.B*c.Experts.TopK)))
	}
	c.Model.T = max(unit, min(full.T, tokens)/unit*unit)
	for heads := c.TP; heads*hs <= full.C; heads += c.TP {
		if c.Model.NH, c.Model.C = heads, heads*hs; heads >= 2 && c.Validate() == nil {
			return c
		}
	}
	c.Model.C, c.Model.NH = full.C, full.NH
	return c
}

// reference is the snapshot of one float64 device, made once a run for each model and layout.
func (r *Rig) reference(ctx context.Context, c workload.Case) (snapshot, error) {
	c = referred(c)
	if s, ok := r.refs[c]; ok {
		return s, nil
	}
	s, err := r.snapshot(ctx, c)
	if err == nil {
		r.refs[c] = s
	}
	return s, err
}

// referred is a case as one float64 device has it.
func referred(c workload.Case) workload.Case {
	c.Technique, c.Engine, c.Precision, c.Device, c.ISA, c.Threads = workload.Baseline, workload.Native, "fp64", workload.Ref, "", 0
	c.DP, c.TP, c.PP, c.EP, c.CP, c.Schedule, c.Cut, c.Chunks, c.Microbatches, c.BucketBytes = 1, 1, 1, 1, 1, "", workload.ByCost, 1, 1, workload.DefaultBucketBytes
	c.ZeRO, c.Recompute, c.Sequence = 0, workload.None, false
	return c
}

// snapshot takes one step of the case.
func (r *Rig) snapshot(ctx context.Context, c workload.Case) (snapshot, error) {
	if c.IsGorgonia() {
		return r.snapshotGorgonia(ctx, c)
	}
	var mu sync.Mutex
	whole := snapshot{tensors: map[string][]float64{}}
	err := r.launch(ctx, order{Task: checking}, c, false, func(_ context.Context, rank *parallel.Rank) error {
		t, err := trainer.New(rank, c.Training())
		if err != nil {
			return err
		}
		if err := setBatch(t, c, r.corpus, 0); err != nil {
			return err
		}
		if t.Stage.Forward {
			if err := t.KeepOutputs(); err != nil {
				return err
			}
		}
		report, err := step(t)
		if err != nil {
			return err
		}
		if !t.Stage.Forward {
			if err := whole.addGradients(t, &mu); err != nil {
				return err
			}
		}
		mu.Lock()
		whole.loss = report.Loss
		if t.Stage.Forward {
			err = whole.addOutputs(t, rank)
		}
		mu.Unlock()
		if err != nil {
			return err
		}
		return merge(r, c, rank, whole.have, whole.add)
	})
	return whole, err
}

// shard is the part of a whole tensor that a process has: values that lie at places.
type shard struct {
	Name   string
	Whole  int // elements
	At     []int
	Values []float64
}

// add puts in what another process has.
func (s *snapshot) add(shards []shard) {
	for _, p := range shards {
		whole, ok := s.tensors[p.Name]
		if !ok {
			whole = make([]float64, p.Whole)
			s.tensors[p.Name] = whole
		}
		for i, at := range p.At {
			whole[at] = p.Values[i]
		}
	}
}

// addGradients puts a rank's gradients in their places in the whole tensors. Ranks may exchange to read one, so none waits for another meanwhile.
func (s *snapshot) addGradients(t *trainer.Trainer, mu *sync.Mutex) error {
	scale, _, skipped, err := t.Scaling()
	if err != nil {
		return err
	}
	if skipped > 0 {
		return errors.New("the gradients overflowed at the initial loss scale")
	}
	for i, p := range t.Stage.Params {
		local, err := t.Gradient(i)
		if err != nil {
			return err
		}
		mu.Lock()
		s.scatter(p, local, t.Stage.TP, scale)
		mu.Unlock()
	}
	return nil
}

func (s *snapshot) scatter(p block.Param, local []float64, tp int, scale float64) {
	part := shard{Name: p.Name, Whole: len(local), At: make([]int, len(local)), Values: make([]float64, len(local))}
	if !p.Replicated {
		part.Whole *= tp
	}
	for i, v := range local {
		part.At[i], part.Values[i] = p.Global(i), v/scale
	}
	s.put(part)
}

// put adds a part of this process.
func (s *snapshot) put(part shard) {
	s.add([]shard{part})
	s.have = append(s.have, part)
}

// addOutputs puts a rank's outputs in their place.
func (s *snapshot) addOutputs(t *trainer.Trainer, rank *parallel.Rank) error {
	all, err := t.Outputs()
	if err != nil {
		return err
	}
	st, world := t.Stage, rank.Strategy
	for k, local := range all {
		first := ((rank.Coord.DP*world.EP+rank.Coord.EP)*world.Microbatches + k) * st.Batch // of the microbatch's sequences
		part := shard{Name: "outputs", Whole: world.DP * world.EP * world.Microbatches * st.Batch * st.T * st.C, At: make([]int, len(local)), Values: local}
		for i, token := range st.Tokens() {
			seq, pos := st.Place(token)
			for j := range st.C {
				part.At[i*st.C+j] = ((first+seq)*st.T+pos)*st.C + j
			}
		}
		s.put(part)
	}
	return nil
}
