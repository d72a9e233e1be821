package trainer

import (
	"fmt"
	"math"
	"testing"

	"ofpeak/kernels"
	"ofpeak/kernels/block"
	"ofpeak/kernels/cpu"
	"ofpeak/parallel"
)

// Where parameters dominate, a rank's peak is what ZeRO's figure 1 says: weights, gradients and optimizer state, each whole or a part. With expert parallelism
// fewer ranks share experts than all else. Gradients are in float32 here, where the paper has 16 bits. The bytes are those that the CPU device's allocator gave out.
func TestZeROMemory(t *testing.T) {
	open := func(int, int) (kernels.Device, error) {
		dev, err := cpu.New(cpu.Config{Threads: 1})
		return nullDevice{dev}, err
	}
	for _, c := range []struct {
		precision string
		dp, ep    int
	}{{"fp32", 4, 1}, {"bf16", 2, 1}, {"fp32", 1, 2}, {"bf16", 2, 2}} {
		p, _ := kernels.PrecisionNamed(c.precision)
		model := block.Config{C: 64, NH: 1, T: 1, L: 180, Batch: c.dp * c.ep, Precision: p}
		rest, experts := 12*model.C*model.C+13*model.C, 0 // of a block
		if c.ep > 1 {
			model.Experts = block.Experts{Count: c.ep, TopK: 1, Capacity: 1}
			rest, experts = 4*model.C*model.C+8*model.C+c.ep*model.C, 8*model.C*model.C // of each expert one rank's
		}
		shared, own := zeroBytes(p, float64(c.dp*c.ep)), zeroBytes(p, float64(c.dp))
		for level := range shared {
			want, s := float64(model.L)*(shared[level]*float64(rest)+own[level]*float64(experts)), parallel.Strategy{DP: c.dp, EP: c.ep, ZeRO: level}
			err := launchOn(open, Config{Model: model}, s, func(r *parallel.Rank, tr *Trainer) error {
				tr.TrainStep()
				if _, err := tr.Sync(); err != nil {
					return err
				}
				if got := tr.Stage.StateBytes(); math.Abs(got-want) > 1 {
					return fmt.Errorf("the formula gives %.0f bytes, by hand %.0f", got, want)
				}
				if off := float64(r.Device.Memory().Peak)/want - 1; math.Abs(off) > 0.05 {
					return fmt.Errorf("peak of %d bytes, %+.1f %% off the formula's %.0f", r.Device.Memory().Peak, 100*off, want)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s %v: %v", c.precision, s, err)
			}
		}
	}
}

// zeroBytes are the paper's bytes of a parameter on one of n ranks, without ZeRO and at each of its stages.
func zeroBytes(p kernels.Precision, n float64) [4]float64 {
	weights, grads, state := float64(p.Compute.Size()), float64(p.Stats.Size()), float64(2*p.Master.Size())
	if p.Master != p.Compute {
		state += float64(p.Master.Size())
	}
	return [4]float64{weights + grads + state, weights + grads + state/n, weights + (grads+state)/n, (weights + grads + state) / n}
}

// An overflow in one rank's part of the gradients skips the step on every rank.
func TestZeROOverflow(t *testing.T) {
	model := language
	model.Precision = fp16
	for level := 1; level <= 3; level++ {
		err := launch(t, model, parallel.Strategy{DP: 2, ZeRO: level}, func(r *parallel.Rank, tr *Trainer) error {
			tr.TrainStep()
			if _, err := tr.Sync(); err != nil {
				return err
			}
			before := read(r.Compute, tr.Stage.Master)
			if r.ID == 1 {
				tr.compute.Fill(tr.Stage.Grads.At(5, 1), math.Inf(1))
			}
			tr.start(false)
			tr.optimize()
			if _, err := tr.Sync(); err != nil {
				return err
			}
			for i, v := range read(r.Compute, tr.Stage.Master) {
				if v != before[i] {
					return fmt.Errorf("a skipped step changed weight %d from %g to %g", i, before[i], v)
				}
			}
			if _, applied, skipped, err := tr.Scaling(); err != nil || applied != 1 || skipped != 1 {
				return fmt.Errorf("%d steps and %d skipped: %v", applied, skipped, err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("zero=%d: %v", level, err)
		}
	}
}
