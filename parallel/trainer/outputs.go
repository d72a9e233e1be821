package trainer

import (
	"math"
	"slices"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// Weights is parameter i of the stage as a dense matrix, row by row. Where ranks hold parts of it, all of them call this, between steps.
func (t *Trainer) Weights(i int) ([]float64, error) {
	t.collect(i)
	return t.Stage.ReadWeights(t.compute, i)
}

// Gradient is Weights for the last step's gradient.
func (t *Trainer) Gradient(i int) ([]float64, error) {
	t.collect(i)
	return t.Stage.ReadGrads(t.compute, i)
}

func (t *Trainer) collect(i int) {
	if t.sharded != nil {
		t.sharded.Collect(t.Stage.Local(t.Stage.Params[i].Layer))
	}
}

// Routing is what the experts of this rank's blocks counted in the last step: kernels.RouteLen numbers, or nil without experts. Each rank counts its own
// tokens and layers; tensor-parallel ranks count the same.
func (t *Trainer) Routing() ([]float64, error) {
	if t.Stage.Routes.None() {
		return nil, nil
	}
	return t.download(t.Stage.Routes)
}

// KeepOutputs has forward passes set aside what Outputs tells. It does nothing but in a last stage.
func (t *Trainer) KeepOutputs() error {
	if !t.Stage.Last() {
		return nil
	}
	for range t.microbatches {
		x, err := t.tensor(t.Stage.Precision.Compute, len(t.Stage.Tokens()), t.Stage.C)
		if err != nil {
			return err
		}
		t.outputs = append(t.outputs, x)
	}
	return nil
}

// Outputs are what the last block of the model computed in the last forward pass, for each of this rank's microbatches, as far as the rank holds it: (S,C) row by row, of the
// tokens Stage.Tokens. There are none but in a last stage that keeps them.
func (t *Trainer) Outputs() ([][]float64, error) {
	var all [][]float64
	for _, x := range t.outputs {
		values, err := t.download(x)
		if err != nil {
			return nil, err
		}
		all = append(all, values)
	}
	return all, nil
}

// Regression is the batch that SetRegression made, inputs and targets (N,C), where one rank holds the whole of it.
func (t *Trainer) Regression() (inputs, targets []float64, err error) {
	if t.rank.World > 1 || t.microbatches > 1 {
		panic("trainer: the batch is not in one place")
	}
	if inputs, err = t.download(t.inputs[0]); err != nil {
		return nil, nil, err
	}
	targets, err = t.download(t.targets[0])
	return inputs, targets, err
}

func (t *Trainer) download(x kernels.Tensor) ([]float64, error) {
	host := make([]float64, x.Size())
	return host, t.compute.Download(tensor.New(tensor.WithShape(x.Shape...), tensor.WithBacking(host)), x)
}

// Margin is the closest call of the choices of experts in the last pass, of the microbatches whose activations are still there; see block.Acts.Margin.
func (t *Trainer) Margin() (float64, error) {
	least := math.Inf(1)
	for _, a := range slices.Concat(t.slots...) {
		m, err := a.Margin(t.compute)
		if err != nil {
			return 0, err
		}
		least = min(least, m)
	}
	return least, nil
}
