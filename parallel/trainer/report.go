package trainer

import (
	"fmt"
	"time"

	"gorgonia.org/tensor"

	"ofpeak/kernels"
)

// Report is what one step was on this rank. Times are of the device, between events on its streams.
type Report struct {
	Loss float64 // mean over the global batch, on every rank
	// Step is from the step's first call on the compute stream to its last. It is the sum of Forward, Backward, Optimizer, Exposed, Bubble and a rest:
	// clearing the gradients, and waiting for the last rank to sum the loss.
	Step                         time.Duration
	Forward, Backward, Optimizer time.Duration
	// Exposed is the time that the compute stream stood waiting for other ranks' parts, be they sums, experts' rows, or keys and values.
	Exposed time.Duration
	// Bubble is the time that it stood waiting for other stages.
	Bubble time.Duration
	// Communication is the time in which these were under way, exposed or not, waiting for late ranks included.
	Communication time.Duration
	// CommBytes are the algorithm bytes of this rank's collectives; see comm.Counts.
	CommBytes int64
}

// Sync waits for the step and reports on it.
func (t *Trainer) Sync() (Report, error) {
	if err := t.rank.Sync(); err != nil {
		return Report{}, err
	}
	if t.clock.err != nil {
		return Report{}, fmt.Errorf("event: %w", t.clock.err)
	}
	if t.sharded != nil && t.sharded.Err() != nil {
		return Report{}, fmt.Errorf("event: %w", t.sharded.Err())
	}
	if t.ring != nil && t.ring.Err() != nil {
		return Report{}, fmt.Errorf("event: %w", t.ring.Err())
	}
	if t.aside != nil && t.aside.Err() != nil {
		return Report{}, fmt.Errorf("event: %w", t.aside.Err())
	}
	if err := t.compute.Download(t.lossHost, t.loss); err != nil {
		return Report{}, fmt.Errorf("loss: %w", err)
	}
	sum := t.clock.sum()
	return Report{
		Loss: t.lossMean[0],
		Step: t.clock.between(t.stepStart, t.stepEnd), Forward: sum[forward], Backward: sum[backward], Optimizer: sum[optimizer],
		Exposed: sum[exposed], Bubble: sum[bubble], Communication: sum[communication],
		CommBytes: t.commBytes(),
	}, nil
}

func (t *Trainer) commBytes() int64 {
	if t.launched {
		return t.graph.commBytes
	}
	return t.rank.Counts().Total() - t.before.Total()
}

// Scaling is the state of dynamic loss scaling: the scale, and the steps applied and skipped so far.
func (t *Trainer) Scaling() (scale float64, applied, skipped int, err error) {
	host := make([]float64, kernels.StateLen)
	err = t.compute.Download(tensor.New(tensor.WithShape(kernels.StateLen), tensor.WithBacking(host)), t.Stage.State)
	return host[kernels.StateScale], int(host[kernels.StateSteps]), int(host[kernels.StateSkipped]), err
}
