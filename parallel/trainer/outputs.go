package trainer

import (
	"gorgonia.org/tensor"
)

// Outputs are what the last block of the model computed for this rank's last microbatch, (N,C) row by row. Only a last stage has them.
func (t *Trainer) Outputs() ([]float64, error) {
	if !t.Stage.Last() {
		panic("trainer: outputs of a stage that is not the last")
	}
	out := t.slots[(t.microbatches-1)%len(t.slots)].Out
	host := make([]float64, out.Size())
	err := t.compute.Download(tensor.New(tensor.WithShape(out.Shape...), tensor.WithBacking(host)), out)
	return host, err
}
