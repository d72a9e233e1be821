package trainer

import (
	"fmt"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
)

// Tensor ids of generated data, past those of any layer's parameters.
const inputID = 1 << 40

// SetTokens gives the language model its batch: token is a pure function of the sequence, of the global batch, and the position, 0 to
// T. The model sees positions 0 to T-1 and predicts 1 to T. Any rank and microbatch takes its slice.
func (t *Trainer) SetTokens(token func(seq, pos int) int32) error {
	st := t.Stage
	if !t.language() {
		panic("trainer: tokens for a model without vocabulary")
	}
	rows, length := st.Grid()
	host := make([]int32, rows*length)
	for k := range t.microbatches {
		for _, side := range []struct {
			to    []kernels.Tensor
			shift int
		}{{t.inputs, 0}, {t.targets, 1}} {
			if side.to == nil {
				continue
			}
			for i := range host {
				seq, pos := st.Place(i)
				host[i] = token(t.sequence(k)+seq, pos+side.shift)
			}
			if err := t.upload(side.to[k], host); err != nil {
				return err
			}
		}
	}
	t.dev.ResetPeak()
	return nil
}

// SetRegression gives the model without vocabulary its batch: normal inputs, a function of seed and place in the global batch, and as target
// what a teacher makes of them: one dense block of full precision, of another seed and of unit gain: the loss's gradient must not be a small
// difference of near equals, which 16-bit outputs cannot hold. The last stage's ranks run the teacher whole, and free it before they return.
func (t *Trainer) SetRegression(seed uint64) error {
	st := t.Stage
	if t.language() {
		panic("trainer: regression for a language model")
	}
	host := make([]float64, st.Batch*st.T*st.C)
	for k := range t.inputs {
		t.normal(host, seed, k)
		if err := t.upload(t.inputs[k], t.own(host)); err != nil {
			return err
		}
	}
	if st.Last() {
		if err := t.teach(host, seed); err != nil {
			return fmt.Errorf("teacher: %w", err)
		}
	}
	t.dev.ResetPeak()
	return nil
}

// own are this rank's tokens (S,C) of a microbatch (B,T,C).
func (t *Trainer) own(host []float64) []float64 {
	st, tokens := t.Stage, t.Stage.Tokens()
	mine := make([]float64, 0, len(tokens)*st.C)
	for _, i := range tokens {
		seq, pos := st.Place(i)
		mine = append(mine, host[(seq*st.T+pos)*st.C:][:st.C]...)
	}
	return mine
}

// normal fills host with microbatch k's inputs.
func (t *Trainer) normal(host []float64, seed uint64, k int) {
	first := uint64(t.sequence(k) * t.Stage.T * t.Stage.C)
	for i := range host {
		host[i] = block.Normal(seed, inputID, first+uint64(i))
	}
}

// teach fills the targets.
func (t *Trainer) teach(host []float64, seed uint64) error {
	name := "fp32"
	if t.Stage.Precision.Stats == kernels.F64 {
		name = "fp64"
	}
	p, _ := kernels.PrecisionNamed(name)
	c := block.Config{
		C: t.Stage.C, NH: t.Stage.NH, T: t.Stage.T, L: 1, Batch: t.Stage.Batch, Precision: p,
		Seed: t.Stage.Seed + 1, Forward: true, Hi: 1, UnitGain: true,
	}
	teacher, err := block.New(t.dev, t.compute, c)
	if err != nil {
		return err
	}
	defer teacher.Close()
	a, err := teacher.NewActs()
	if err != nil {
		return err
	}
	defer a.Free()
	for k, target := range t.targets {
		t.normal(host, seed, k)
		if err := t.upload(a.In, host); err != nil {
			return err
		}
		teacher.Run(t.compute, a, nil, nil)
		t.teachOwn(target, a.Out.Reshape(c.Batch, c.T, c.C))
	}
	return t.compute.Sync()
}

// teachOwn keeps of what the teacher made (B,T,C) this rank's tokens.
func (t *Trainer) teachOwn(target, all kernels.Tensor) {
	st, tokens := t.Stage, t.Stage.Tokens()
	rows := all.Reshape(all.Size()/st.C, st.C)
	at := func(i int) int { // in all
		seq, pos := st.Place(tokens[i])
		return seq*st.T + pos
	}
	for lo := 0; lo < len(tokens); {
		from, hi := at(lo), lo+1
		for hi < len(tokens) && at(hi) == from+hi-lo { // as long as they lie one behind the other there too
			hi++
		}
		t.compute.Cast(target.Slice(lo, hi), rows.Slice(from, from+hi-lo))
		lo = hi
	}
}

// sequence is the first of microbatch k's sequences in the global batch.
func (t *Trainer) sequence(k int) int {
	return ((t.rank.Coord.DP*t.rank.Strategy.EP+t.rank.Coord.EP)*t.microbatches + k) * t.Stage.Batch
}

// upload copies host values and waits.
func (t *Trainer) upload(dst kernels.Tensor, host any) error {
	t.compute.Upload(dst, tensor.New(tensor.WithShape(dst.Shape...), tensor.WithBacking(host)))
	return t.compute.Sync()
}
